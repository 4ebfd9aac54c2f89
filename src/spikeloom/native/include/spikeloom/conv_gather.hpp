// The convolution of frames with many events: each position gathers the lines of weights of the events in its window.
// Where a window holds several of them that costs less than scattering, which reads and writes a position for each.
#pragma once

#include <algorithm>

#include "frames.hpp"

namespace spikeloom {

// The events of a frame, column by column, and those of a strip: of the rows that the windows of a row of positions
// cover, so that a window is one piece of it. A line tells where the weights of an event lie, for a window in the corner
// of the source.
template <class Real> struct Columns {
  static constexpr int64_t slack = 16;             // entries are copied so many at a time
  int32_t *places, *bases;                         // of a place (y, x): [column][row], and its line without the channel
  int32_t *starts, *lines, *begins, *strip;        // [column][row] and two more, [event], [column] and one more, [event]
  Real *values, *of_strip;                         // [event], null where each is 1
};

template <class Real> void set_places(const ConvSizes& s, const Columns<Real>& to) {
  for (int64_t y = 0, place = 0; y < s.height; y++)
    for (int64_t x = 0; x < s.width; x++, place++) {
      to.places[place] = int32_t(x * s.height + y);
      to.bases[place] = int32_t((y * s.kernel_w + x) * s.channels * s.tile);
    }
}

template <class Real>
void sort_by_column(const ConvSizes& s, const int32_t* ids, const Real* values, int64_t n, const Columns<Real>& to) {
  const uint32_t plane = uint32_t(s.plane());
  memset(to.starts, 0, size_t(plane + 2) * sizeof(int32_t));
  uint32_t channel = 0, first = 0;
  const auto place_of = [&](int32_t id) {          // ids ascend mostly: few divisions
    if (uint32_t(id) - first >= plane) channel = uint32_t(id) / plane, first = channel * plane;
    return uint32_t(id) - first;
  };
  for (int64_t e = 0; e < n; e++) to.starts[to.places[place_of(ids[e])] + 2]++;
  for (uint32_t place = 2; place < plane + 2; place++) to.starts[place] += to.starts[place - 1];
  for (int64_t e = 0; e < n; e++) {
    const uint32_t place = place_of(ids[e]);
    const int32_t at = to.starts[to.places[place] + 1]++;
    to.lines[at] = to.bases[place] + int32_t(channel * s.tile);
    if (values) to.values[at] = values[e];
  }
}

// The events of the rows from top to bottom, column by column.
template <class Real> void cut_strip(const ConvSizes& s, int64_t top, int64_t bottom, const Columns<Real>& to) {
  int32_t at = 0;
  for (int64_t x = 0; x < s.width; x++) {
    to.begins[x] = at;
    const int32_t* const rows = to.starts + x * s.height;
    const int32_t n = rows[bottom] - rows[top];
    for (int32_t e = 0; e < n; e += to.slack) {
      memcpy(to.strip + at + e, to.lines + rows[top] + e, to.slack * sizeof(int32_t));
      if (to.values) memcpy(to.of_strip + at + e, to.values + rows[top] + e, to.slack * sizeof(Real));
    }
    at += n;
  }
  to.begins[s.width] = at;
}

// Adds to n vectors of a position the weights of the events from e to end of the strip; several sums, so that an addition
// need not wait for the one before.
template <int n, bool valued, class Real>
SPIKELOOM_INLINE void add_window(const Columns<Real>& in, int32_t e, int32_t end, const Real* weights, Real* to) {
  constexpr int sums = n == 1 ? 4 : 2;
  Vec<Real> sum[sums][n];
#pragma GCC unroll 4
  for (int k = 0; k < sums; k++)
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) sum[k][i] = k ? Vec<Real>{} : load(to + i * lanes<Real>);
  const auto add = [&](int k, int32_t of) __attribute__((always_inline)) {
    const Real* const w = weights + in.strip[of];
    const Vec<Real> by = splat(valued ? in.of_strip[of] : Real(1));
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) sum[k][i] += valued ? by * load(w + i * lanes<Real>) : load(w + i * lanes<Real>);
  };
  for (; e + sums <= end; e += sums)
#pragma GCC unroll 4
    for (int k = 0; k < sums; k++) add(k, e + k);
  for (; e < end; e++) add(0, e);
#pragma GCC unroll 4
  for (int i = 0; i < n; i++) {
    for (int k = 1; k < sums; k++) sum[0][i] += sum[k][i];
    store(to + i * lanes<Real>, sum[0][i]);
  }
}

// Adds to n vectors of the positions of a row; weights are those of the corner of the source, [tap][channel][tile].
template <int n, bool valued, class Real>
void gather_row(const ConvSizes& s, const Columns<Real>& in, const Real* weights, Real* row) {
  const int64_t tap = s.channels * s.tile;
  for (int64_t column = 0; column < s.used_w; column++, row += s.tile) {
    const int64_t x = column * s.stride_w - s.pad_w;
    const int64_t left = std::max<int64_t>(0, x), right = std::min(s.width, x + s.kernel_w);
    if (left < right) add_window<n, valued>(in, in.begins[left], in.begins[right], weights - x * tap, row);
  }
}

// Adds to the positions of a band of a frame what the sorted events bring; weights are [tap][channel][tile].
template <class Real>
void gather(const ConvSizes& s, const Band& band, const Columns<Real>& in, const Real* weights, Real* frame) {
  constexpr int64_t most = 4;
  for (int64_t i = 0; i < band.rows; i++) {
    const int64_t y = (band.first + i) * s.stride_h - s.pad_h;
    const int64_t top = std::max<int64_t>(0, y), bottom = std::min(s.height, y + s.kernel_h);
    if (top >= bottom) continue;
    cut_strip(s, top, bottom, in);
    const Real* const corner = weights - y * s.kernel_w * s.channels * s.tile;
    Real* const row = frame + (s.line + i * s.pitch()) * s.tile;
    for (int64_t lane = 0, n; lane < s.tile; lane += n * lanes<Real>) {
      n = std::min((s.tile - lane) / lanes<Real>, most);
      switch (n * 2 + (in.values != nullptr)) {
#define SPIKELOOM_CASE(n)                                                            \
  case n * 2: gather_row<n, false>(s, in, corner + lane, row + lane); break;         \
  case n * 2 + 1: gather_row<n, true>(s, in, corner + lane, row + lane); break;
        SPIKELOOM_CASE(1) SPIKELOOM_CASE(2) SPIKELOOM_CASE(3) SPIKELOOM_CASE(4)
#undef SPIKELOOM_CASE
      }
    }
  }
}

}  // namespace spikeloom
