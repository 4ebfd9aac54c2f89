// Convolution and pooling of sparse frames (channels, height, width), there and back: events are scattered to the
// positions they reach. Channels lie innermost, so that the taps of an event in one row of the kernel are one line.
#pragma once

#include <algorithm>
#include <climits>

#include "conv_gather.hpp"

namespace spikeloom {

template <class Real> struct Events {
  const int64_t* start;
  const int32_t* ids;
  const Real* values;
};

// What a place (y, x) of the source reaches: in a frame of all rows the offset and the row of the first position, and
// the list that its events belong to, by which of the taps lead there; the last list is for those that reach nothing,
// and their row is one behind all others.
struct Reach {
  int32_t offset, row, list;
};

// The events of one channel in the order of their rows, in a list for each kind of place; ends[list][i] is how many of a
// list have a row before i - (lines - 1).
template <class Real> struct Lists {
  int64_t* counts;
  int32_t *offsets, *ends;    // [list][list_room], [list][rows_room], and one more
  Real* values;               // [list][list_room]
};

// Adds a line of n vectors of weights to the frame at each offset; or, back, what stands there to the line.
template <class Real, int n, bool back, bool valued>
void add_line(Real* line, Real* frame, const int32_t* offsets, const Real* values, int64_t count) {
  Vec<Real> w[n];
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) w[i] = load(line + i * lanes<Real>);
  for (int64_t e = 0; e < count; e++) {
    Real* f = frame + offsets[e];
    const Vec<Real> by = splat(valued ? values[e] : Real(1));
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) {
      const Vec<Real> v = load(f + i * lanes<Real>);
      if (back)
        w[i] += valued ? by * v : v;
      else
        store(f + i * lanes<Real>, v + (valued ? by * w[i] : w[i]));
    }
  }
  if (back) {
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) store(line + i * lanes<Real>, w[i]);
  }
}
template <class Real, bool back, bool valued>
void add_line(Real* line, Real* frame, int64_t length, const int32_t* offsets, const Real* values, int64_t count) {
  constexpr int64_t most = 10;
  for (int64_t n; length > 0; length -= n * lanes<Real>, line += n * lanes<Real>, frame += n * lanes<Real>) {
    n = std::min(length / lanes<Real>, most);
    switch (n) {
#define SPIKELOOM_CASE(n) \
  case n: add_line<Real, n, back, valued>(line, frame, offsets, values, count); break;
      SPIKELOOM_CASE(1) SPIKELOOM_CASE(2) SPIKELOOM_CASE(3) SPIKELOOM_CASE(4) SPIKELOOM_CASE(5)
      SPIKELOOM_CASE(6) SPIKELOOM_CASE(7) SPIKELOOM_CASE(8) SPIKELOOM_CASE(9) SPIKELOOM_CASE(10)
#undef SPIKELOOM_CASE
    }
  }
}

// Adds the weights of each event to a band of the frame; or, back, the band's gradient to the gradient of the weights.
// Events of a channel are sorted into lists first, so that a line of weights stays in the registers. Where places
// ascend, the taps come to each position in one order, so that equal sums are equal wherever they lie.
template <class Real, bool back, bool valued, bool one_list>
void scatter(const ConvSizes& s, const Band& band, const Reach* reach, const Events<Real>& in, int64_t row,
             const Lists<Real>& lists, Real* weights, Real* frame) {
  const uint32_t plane = uint32_t(s.plane());
  const int64_t line = s.line * s.tile, pitch = s.pitch() * s.tile, n_lists = one_list ? 1 : s.kinds_h * s.kinds_w;
  int32_t* const row_ends = lists.ends + s.lines;
  frame += s.line * s.tile - band.first * pitch;
  for (int64_t e = in.start[row], end = in.start[row + 1]; e < end;) {
    const uint32_t c = uint32_t(in.ids[e]) / plane, first = c * plane;
    for (int64_t k = 0; k <= n_lists; k++) lists.counts[k] = 0;
    memset(lists.ends, 0, n_lists * s.rows_room * sizeof(int32_t));
    int64_t before = -1, of_one = 0;
    for (uint32_t place; e < end && (place = uint32_t(in.ids[e]) - first) < plane && place > before; e++) {
      before = place;
      const Reach to = reach[place];
      const int64_t n = one_list ? of_one : lists.counts[to.list], at = one_list ? n : to.list * s.list_room + n;
      if (one_list)
        of_one += to.list < 1;
      else
        lists.counts[to.list] += to.list < n_lists;
      lists.offsets[at] = to.offset;
      row_ends[one_list ? to.row : to.list * s.rows_room + to.row] = int32_t(n + 1);
      if (valued) lists.values[at] = in.values[e];
    }
    Real* w = weights + c * n_lists * s.lines * line;
    for (int64_t k = 0; k < n_lists; k++) {
      int32_t* const ends = lists.ends + k * s.rows_room;
      for (int64_t i = 1; i < s.rows_room; i++) ends[i] = std::max(ends[i], ends[i - 1]);
      for (int64_t r = 0; r < s.lines; r++, w += line) {
        const int64_t top = band.first - r + s.lines - 1, begin = ends[std::min(top, s.rows_room - 1)];
        const int64_t stop = ends[std::min(top + band.rows, s.rows_room - 1)], at = k * s.list_room + begin;
        if (begin < stop)
          add_line<Real, back, valued>(w, frame + r * pitch, line, lists.offsets + at, lists.values + at, stop - begin);
      }
    }
  }
}

template <class Real, bool back>
void scatter(const ConvSizes& s, const Band& band, const Reach* reach, const Events<Real>& in, int64_t row,
             const Lists<Real>& lists, Real* weights, Real* frame) {
  const bool one = s.kinds_h * s.kinds_w == 1;
  const auto by = in.values ? one ? scatter<Real, back, true, true> : scatter<Real, back, true, false>
                  : one     ? scatter<Real, back, false, true>
                            : scatter<Real, back, false, false>;
  by(s, band, reach, in, row, lists, weights, frame);
}

// The same without a kernel: the values of a tile's channels themselves.
template <class Real>
SPIKELOOM_INLINE void place_events(const ConvSizes& s, const Events<Real>& in, int64_t row, int64_t tile, Real* frame) {
  const uint32_t plane = uint32_t(s.plane());
  for (int64_t e = in.start[row]; e < in.start[row + 1]; e++) {
    const uint32_t id = uint32_t(in.ids[e]), c = id / plane;
    const int64_t channel = int64_t(c) - tile * s.tile;
    if (channel < 0 || channel >= s.tile) continue;
    frame[(id - c * plane) * s.tile + channel] = in.values ? in.values[e] : Real(1);
  }
}

// Adds to n vectors in each of some rows the lines of weights of the channels named by bits, times their values. A
// pointer goes from row to row: from sums of products a compiler makes an address of its own for each vector.
template <int rows, int n, class Real>
void add_taps(Real* to, int64_t to_row, const Real* weights, int64_t weights_row, int64_t stride, uint64_t channels,
              const Real* values) {
  Vec<Real> sum[rows][n];
  Real* t = to;
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++, t += to_row)
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) sum[r][i] = load(t + i * lanes<Real>);
  for (; channels; channels &= channels - 1) {
    const int64_t channel = __builtin_ctzll(channels);
    const Real* w = weights + channel * stride;
    const Vec<Real> value = splat(values[channel]);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++, w += weights_row)
#pragma GCC unroll 8
      for (int i = 0; i < n; i++) sum[r][i] += value * load(w + i * lanes<Real>);
  }
  t = to;
#pragma GCC unroll 8
  for (int r = 0; r < rows; r++, t += to_row)
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) store(t + i * lanes<Real>, sum[r][i]);
}

constexpr int registers = vector_bytes == 64 ? 25 : 12;

// The same for any number of rows, as many at a time as the registers hold.
template <int rows, int n, class Real>
void add_rows(int64_t left, Real* to, int64_t to_row, const Real* weights, int64_t weights_row, int64_t stride,
              uint64_t channels, const Real* values) {
  if constexpr (rows * n <= registers)
    for (; left >= rows; left -= rows, to += rows * to_row, weights += rows * weights_row)
      add_taps<rows, n>(to, to_row, weights, weights_row, stride, channels, values);
  constexpr int fewer = rows == 5 ? 3 : rows - 1;
  if constexpr (fewer > 0)
    if (left > 0) add_rows<fewer, n>(left, to, to_row, weights, weights_row, stride, channels, values);
}

// Adds to a source frame what n vectors of some rows of the taps give back from a band.
template <int n, class Real>
void back_by(const ConvSizes& s, const Band& band, const Real* frame, const Real* weights, Real* source, int64_t ky,
             int64_t rows) {
  const int64_t pitch = s.source_pitch * s.channels;
  for (int64_t row = 0; row < band.rows; row++) {
    const int64_t y = (band.first + row) * s.stride_h - s.pad_h;
    const int64_t top = std::max(ky, -y), bottom = std::min({s.height - y, s.kernel_h, ky + rows});
    for (int64_t column = 0; column < s.used_w; column++) {
      const Real* values = frame + (s.line + row * s.pitch() + column) * s.tile;
      uint64_t channels = 0;
      for (int64_t i = 0; i < s.tile; i += lanes<Real>) channels |= bits(load(values + i) != Real(0)) << i;
      if (channels && top < bottom)
        add_rows<5, n>(bottom - top, source + (y + top) * pitch + column * s.stride_w * s.channels, pitch,
                       weights + top * s.back_line, s.back_line, s.kernel_h * s.back_line, channels, values);
    }
  }
}

// Adds the gradient of a source frame [row][padding and column][channel] from that of a band; weights are packed by
// conv_pack_back. A part of the taps that fits the nearest cache goes over the whole band before the next one does.
template <class Real>
void back_to_source(const ConvSizes& s, const Band& band, const Real* frame, const Real* weights, Real* source) {
  constexpr int64_t near = 1 << 16, most = 8 * lanes<Real>;
  const int64_t rows = near / (s.tile * std::min(s.back_line, most) * int64_t(sizeof(Real))) + 1;
  for (int64_t ky = 0; ky < s.kernel_h; ky += rows)
    for (int64_t lane = 0; lane < s.back_line; lane += most) switch (std::min(s.back_line - lane, most) / lanes<Real>) {
#define SPIKELOOM_CASE(n) \
  case n: back_by<n>(s, band, frame, weights + lane, source + lane, ky, rows); break;
        SPIKELOOM_CASE(1) SPIKELOOM_CASE(2) SPIKELOOM_CASE(3) SPIKELOOM_CASE(4)
        SPIKELOOM_CASE(5) SPIKELOOM_CASE(6) SPIKELOOM_CASE(7) SPIKELOOM_CASE(8)
#undef SPIKELOOM_CASE
      }
}

// A source frame as (channels, height, width), without the padding.
template <class Real> void turn_source(const ConvSizes& s, const Real* source, Real* to) {
  if (s.source_pitch == s.width) return turn(source, s.plane(), s.channels, s.channels, to, s.plane());
  source += s.pad_w * s.channels;
  for (int64_t y = 0; y < s.height; y++, source += s.source_pitch * s.channels)
    turn(source, s.width, s.channels, s.channels, to + y * s.width, s.plane());
}

// A piece of the workspace, on cache lines of its own.
template <class T> SPIKELOOM_INLINE T* taken(char*& workspace, int64_t n) {
  T* piece = (T*)workspace;
  workspace += (n * int64_t(sizeof(T)) + 63) / 64 * 64;
  return piece;
}
template <class Real> SPIKELOOM_INLINE Lists<Real> taken_lists(char*& workspace, const ConvSizes& s) {
  const int64_t n = s.kinds_h * s.kinds_w + 1, size = n * s.list_room;
  return {taken<int64_t>(workspace, n), taken<int32_t>(workspace, size), taken<int32_t>(workspace, n * s.rows_room + 1),
          taken<Real>(workspace, size)};
}

template <class Real>
Columns<Real> taken_columns(char*& workspace, const ConvSizes& s, int64_t most, bool valued) {
  const int64_t plane = s.plane(), n = most + Columns<Real>::slack;
  Columns<Real> columns = {taken<int32_t>(workspace, plane), taken<int32_t>(workspace, plane),
                           taken<int32_t>(workspace, plane + 2), taken<int32_t>(workspace, n),
                           taken<int32_t>(workspace, s.width + 1), taken<int32_t>(workspace, n), nullptr, nullptr};
  if (valued) columns.values = taken<Real>(workspace, n), columns.of_strip = taken<Real>(workspace, n);
  set_places(s, columns);
  return columns;
}

// The currents of the samples from begin to end, (T, room, outputs, places) with the sample `first` as the first of room;
// bias is [tile][tile]. most: how many events a row has at most, where these are gathered, from weights packed by
// conv_pack_taps; 0 where they are scattered, from weights packed by conv_pack.
template <class Real>
void conv_forward(const ConvSizes& s, const Reach* reach, const Events<Real>& in, int64_t T, int64_t B, Real* weights,
                  const Real* bias, Real* current, int64_t first_sample, int64_t room, uint8_t* winners, int64_t most,
                  char* workspace, int64_t begin, int64_t end) {
  const FlushDenormals flush;
  Real* const frame = taken<Real>(workspace, s.positions() * s.tile);
  Real* const pooled = taken<Real>(workspace, s.places() * s.tile);
  const Lists<Real> lists = most ? Lists<Real>{} : taken_lists<Real>(workspace, s);
  const Columns<Real> columns = most ? taken_columns<Real>(workspace, s, most, in.values) : Columns<Real>{};
  for (int64_t b = begin; b < end; b++)
    for (int64_t tile = 0; tile < s.tiles(); tile++)
      for (int64_t t = 0; t < T; t++) {
        const int64_t m = t * B + b, row = b * T + t, from = in.start[row], n = in.start[row + 1] - from;
        if (most) sort_by_column(s, in.ids + from, in.values ? in.values + from : nullptr, n, columns);
        const Real* const first = bias + tile * s.tile;
        Real* const to = current + ((t * room + b - first_sample) * s.outputs + tile * s.tile) * s.places();
        fetch(to, s.outputs_of(tile) * s.places() * int64_t(sizeof(Real)));
        uint8_t* const kept = winners ? winners + (m * s.tiles() + tile) * s.places() * s.tile : nullptr;
        for (Band band(s, 0); band.top < s.out_height; band = Band(s, band.bottom)) {
          if (!s.exact() || (t == 0 && band.top == 0)) start_frame(s, first, frame);
          if (!s.has_kernel)
            place_events(s, in, row, tile, frame);
          else if (most)
            gather(s, band, columns, weights + tile * s.gathered(), frame);
          else
            scatter<Real, false>(s, band, reach, in, row, lists, weights + tile * s.packed(), frame);
          pool(s, band, first, frame, pooled, kept);
        }
        turn(pooled, s.places(), s.outputs_of(tile), s.tile, to, s.places());
      }
}

// The gradient of the currents, row m = t * B + b: (rows, outputs * places), or in tiles [tile][row][width].
template <class Real> struct Given {
  const Real* grad;
  int64_t rows, width;

  // A row of n in one piece; room for whole tiles.
  const Real* row(int64_t m, int64_t n, Real* room) const {
    if (!width) return grad + m * n;
    for (int64_t i = 0; i < n; i += width)
      for (int64_t k = 0; k < width; k += lanes<Real>)
        store(room + i + k, load(grad + (i / width * rows + m) * width + k));
    return room;
  }

  // A row of n on its way to the cache.
  void fetch_row(int64_t m, int64_t n) const {
    if (!width) return fetch(grad + m * n, n * int64_t(sizeof(Real)));
    for (int64_t i = 0; i < n; i += width) fetch(grad + (i / width * rows + m) * width, width * int64_t(sizeof(Real)));
  }
};

// The memory of a thread on the way back.
template <class Real> struct Back {
  Real *frame, *pooled;
  Lists<Real> lists;
  Real *source, *row;
  Back(const ConvSizes& s, char* workspace)
      : frame(taken<Real>(workspace, s.positions() * s.tile)),
        pooled(taken<Real>(workspace, s.places() * s.tile)),
        lists(taken_lists<Real>(workspace, s)),
        source(taken<Real>(workspace, s.source_size() + lanes<Real>)),
        row(taken<Real>(workspace, s.outputs * s.places() + 64)) {
    fill(frame, s.positions() * s.tile, Real(0));
  }
};

// What is added to and written on the way back: packed weights and [tile][tile] biases a part; each may be null.
template <class Real> struct Found {
  Real *weights, *bias, *source;
};

// The way back of a row of events.
template <class Real>
void row_back(const ConvSizes& s, const Reach* reach, const Events<Real>& in, int64_t row, const Real* weights,
              const Real* grad, const uint8_t* winners, const Found<Real>& found, const Back<Real>& use) {
  if (found.source && s.has_kernel) fill(use.source, s.source_size(), Real(0));
  for (int64_t tile = 0; tile < s.tiles(); tile++) {
    const int64_t n = s.outputs_of(tile);
    const uint8_t* const kept = winners ? winners + tile * s.places() * s.tile : nullptr;
    if (n < s.tile) fill(use.pooled, s.places() * s.tile, Real(0));
    turn(grad + tile * s.tile * s.places(), n, s.places(), s.places(), use.pooled, s.tile);
    if (found.bias && s.is_max) add_sums(s, use.pooled, s.places(), found.bias + tile * s.tile);
    for (Band band(s, 0); band.top < s.out_height; band = Band(s, band.bottom)) {
      unpool(s, band, use.pooled, kept, use.frame);
      if (found.weights)
        scatter<Real, true>(s, band, reach, in, row, use.lists, found.weights + tile * s.packed(), use.frame);
      if (found.bias && !s.is_max)
        add_sums(s, use.frame + s.line * s.tile, band.rows * s.pitch(), found.bias + tile * s.tile);
      if (found.source && s.has_kernel)
        back_to_source(s, band, use.frame, weights + tile * s.tile * s.kernel_h * s.back_line, use.source);
    }
    if (found.source && !s.has_kernel)
      turn(use.frame, s.plane(), n, s.tile, found.source + tile * s.tile * s.plane(), s.plane());
  }
  if (found.source && s.has_kernel) turn_source(s, use.source, found.source);
}

// The way back for the parts from begin to end, each of so many samples with a sum of its own: adds to d_weights and
// d_bias of its part, writes d_source.
template <class Real>
void conv_backward(const ConvSizes& s, const Reach* reach, const Events<Real>& in, int64_t T, int64_t B,
                   const Real* weights, const Given<Real>& given, const uint8_t* winners, Real* d_weights, Real* d_bias,
                   Real* d_source, char* workspace, int64_t size, int64_t begin, int64_t end) {
  const FlushDenormals flush;
  const Back<Real> use(s, workspace);
  const int64_t n_places = s.outputs * s.places(), n_source = s.channels * s.plane();
  for (int64_t part = begin; part < end; part++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t b = part * size; b < std::min(B, (part + 1) * size); b++) {
        const int64_t m = t * B + b, of_part = part * s.tiles();
        if (d_source) fetch(d_source + m * n_source, n_source * int64_t(sizeof(Real)));
        if (m + 1 < T * B) given.fetch_row(m + 1, n_places);
        const Found<Real> found = {d_weights ? d_weights + of_part * s.packed() : nullptr,
                                   d_bias ? d_bias + of_part * s.tile : nullptr,
                                   d_source ? d_source + m * n_source : nullptr};
        row_back(s, reach, in, b * T + t, weights, given.row(m, n_places, use.row),
                 winners ? winners + m * s.tiles() * s.places() * s.tile : nullptr, found, use);
      }
}

// Calls at(place in packed weights, place in weights (outputs, channels, kernel height, kernel width)) for each pair.
// Packed are [tile][channel][list][line][tap][tile], lines and taps of a list the last one first: they lead to
// positions side by side.
template <class Function> SPIKELOOM_INLINE void each_weight(const ConvSizes& s, Function&& at) {
  const int64_t n_lists = s.kinds_h * s.kinds_w;
  int64_t packed = 0;
  for (int64_t block = 0; block < s.tiles() * s.channels * n_lists; block++)
    for (int64_t r = s.lines - 1; r >= 0; r--)
      for (int64_t k = s.line - 1; k >= 0; k--, packed += s.tile) {
        const int64_t ky = block / s.kinds_w % s.kinds_h + r * s.stride_h, kx = block % s.kinds_w + k * s.stride_w;
        if (ky >= s.kernel_h || kx >= s.kernel_w) continue;
        const int64_t c = block / n_lists % s.channels, tile = block / n_lists / s.channels;
        for (int64_t i = 0; i < s.outputs_of(tile); i++)
          at(packed + i, (((tile * s.tile + i) * s.channels + c) * s.kernel_h + ky) * s.kernel_w + kx);
      }
}

// Weights for the way there; `to` is zero before.
template <class Real> void conv_pack(const ConvSizes& s, const Real* weights, Real* to) {
  each_weight(s, [&](int64_t packed, int64_t plain) { to[packed] = weights[plain]; });
}

// Weights for gathering, [tile][tap][channel][tile]; `to` is zero before.
template <class Real> void conv_pack_taps(const ConvSizes& s, const Real* weights, Real* to) {
  for (int64_t o = 0; o < s.outputs; o++)
    for (int64_t c = 0; c < s.channels; c++)
      for (int64_t k = 0; k < s.kernel_h * s.kernel_w; k++)
        to[o / s.tile * s.gathered() + (k * s.channels + c) * s.tile + o % s.tile] = *weights++;
}

// The gradient of the weights in their own order: the sum of the parts, one after the other.
template <class Real> void conv_unpack(const ConvSizes& s, const Real* parts, int64_t n_parts, Real* weights) {
  each_weight(s, [&](int64_t packed, int64_t plain) {
    Real sum = 0;
    for (int64_t part = 0; part < n_parts; part++) sum += parts[part * s.tiles() * s.packed() + packed];
    weights[plain] = sum;
  });
}

// Weights for the way back to the source, [output][row of taps][tap][channel], rows in whole vectors; `to` is zero
// before.
template <class Real> void conv_pack_back(const ConvSizes& s, const Real* weights, Real* to) {
  for (int64_t o = 0; o < s.outputs; o++)
    for (int64_t c = 0; c < s.channels; c++)
      for (int64_t ky = 0; ky < s.kernel_h; ky++)
        for (int64_t kx = 0; kx < s.kernel_w; kx++)
          to[(o * s.kernel_h + ky) * s.back_line + kx * s.channels + c] = *weights++;
}

}  // namespace spikeloom

SPIKELOOM_EXPORT void vector_width(int64_t* bytes) { *bytes = spikeloom::vector_bytes; }

#define SPIKELOOM_CONV(SUFFIX, REAL)                                                                                   \
  SPIKELOOM_EXPORT void conv_forward_##SUFFIX(                                                                         \
      const spikeloom::ConvSizes* sizes, const spikeloom::Reach* reach, const int64_t* start, const int32_t* ids,      \
      const REAL* values, int64_t T, int64_t B, REAL* weights, const REAL* bias, REAL* current, int64_t first,         \
      int64_t room, uint8_t* winners, int64_t most, char* workspace, int64_t begin, int64_t end) {                     \
    spikeloom::conv_forward<REAL>(*sizes, reach, {start, ids, values}, T, B, weights, bias, current, first, room,      \
                                  winners, most, workspace, begin, end);                                               \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void conv_backward_##SUFFIX(                                                                        \
      const spikeloom::ConvSizes* sizes, const spikeloom::Reach* reach, const int64_t* start, const int32_t* ids,      \
      const REAL* values, int64_t T, int64_t B, const REAL* weights, const REAL* grad, int64_t rows, int64_t width,    \
      const uint8_t* winners, REAL* d_weights, REAL* d_bias, REAL* d_source, char* workspace, int64_t size,            \
      int64_t begin, int64_t end) {                                                                                    \
    spikeloom::conv_backward<REAL>(*sizes, reach, {start, ids, values}, T, B, weights, {grad, rows, width}, winners,   \
                                   d_weights, d_bias, d_source, workspace, size, begin, end);                          \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void conv_pack_##SUFFIX(const spikeloom::ConvSizes* sizes, const REAL* weights, REAL* to) {         \
    spikeloom::conv_pack(*sizes, weights, to);                                                                         \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void conv_pack_taps_##SUFFIX(const spikeloom::ConvSizes* sizes, const REAL* weights, REAL* to) {    \
    spikeloom::conv_pack_taps(*sizes, weights, to);                                                                    \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void conv_unpack_##SUFFIX(const spikeloom::ConvSizes* sizes, const REAL* parts, int64_t n_parts,    \
                                             REAL* weights) {                                                          \
    spikeloom::conv_unpack(*sizes, parts, n_parts, weights);                                                           \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void conv_pack_back_##SUFFIX(const spikeloom::ConvSizes* sizes, const REAL* weights, REAL* to) {    \
    spikeloom::conv_pack_back(*sizes, weights, to);                                                                    \
  }
SPIKELOOM_CONV(f32, float)
SPIKELOOM_CONV(f64, double)
