// Frames with their channels innermost: pooling of them, there and back, and turning them from and to channel-first.
#pragma once

#include <utility>

#include "simd.hpp"

namespace spikeloom {

// Sizes; the fields in the order of _Plan.sizes. Used are the positions of the convolution that the pooling reads. The
// positions of a tile of output channels are held a band at a time, [row][column][tile], with rows `pitch` apart:
// `line` columns, in which what lies beside the frame is written, come before each row and after the last one.
struct ConvSizes {
  int64_t channels, height, width;           // of the source
  int64_t outputs, out_height, out_width;    // of the target
  int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
  int64_t used_h, used_w;
  int64_t is_max, pool_h, pool_w, pool_stride_h, pool_stride_w, pool_pad_h, pool_pad_w;
  int64_t has_kernel;                        // without one the frame of the events itself is pooled
  int64_t kinds_h, kinds_w;                  // of rows and columns of the source, by which of the taps they meet
  int64_t lines, line;                       // rows and columns of positions that an event reaches
  int64_t list_room, rows_room;              // places of a channel of one kind; rows that these begin at, and one more
  int64_t tile;                              // output channels that are held side by side, in whole vectors
  int64_t source_pitch;                      // columns of a row of the source with its padding
  int64_t back_line;                         // taps of a row of weights times source channels, in whole vectors
  int64_t band, band_rows;                   // rows of the target in a band, and of positions at most

  int64_t tiles() const { return (outputs + tile - 1) / tile; }
  int64_t outputs_of(int64_t k) const { return outputs - k * tile < tile ? outputs - k * tile : tile; }
  int64_t pitch() const { return used_w + line; }
  int64_t positions() const { return band_rows * pitch() + line; }
  int64_t places() const { return out_height * out_width; }
  int64_t plane() const { return height * width; }
  int64_t source_size() const { return height * source_pitch * channels; }
  int64_t gathered() const { return kernel_h * kernel_w * channels * tile; }
  int64_t packed() const { return channels * kinds_h * lines * kinds_w * line * tile; }

  // The side of square windows that cover the positions without padding and without overlap, where it is a known one.
  int exact() const {
    const bool square = pool_h == pool_w, apart = pool_stride_h == pool_h && pool_stride_w == pool_w;
    return square && apart && !pool_pad_h && !pool_pad_w && pool_h <= 2 ? int(pool_h) : 0;
  }
};

// Rows of the target from top to bottom, and the rows of positions that they read.
struct Band {
  int64_t top, bottom, first, rows;
  Band(const ConvSizes& s, int64_t top) : top(top) {
    bottom = top + s.band < s.out_height ? top + s.band : s.out_height;
    first = top * s.pool_stride_h - s.pool_pad_h;
    if (first < 0) first = 0;
    const int64_t last = (bottom - 1) * s.pool_stride_h - s.pool_pad_h + s.pool_h;
    rows = (last < s.used_h ? last : s.used_h) - first;
  }
};

template <class Real> SPIKELOOM_INLINE void fill(Real* to, int64_t n, Real value) {
  for (int64_t i = 0; i < n; i += lanes<Real>) store(to + i, splat(value));
}
template <class Real> SPIKELOOM_INLINE void start_frame(const ConvSizes& s, const Real* first, Real* frame) {
  for (int64_t i = 0; i < s.tile; i += lanes<Real>) {
    const Vec<Real> v = load(first + i);
    for (int64_t p = 0; p < s.positions(); p++) store(frame + p * s.tile + i, v);
  }
}

// Adds to each channel its sum over n positions.
template <class Real> SPIKELOOM_INLINE void add_sums(const ConvSizes& s, const Real* from, int64_t n, Real* to) {
  for (int64_t i = 0; i < s.tile; i += lanes<Real>) {
    Vec<Real> sum{};
    for (int64_t p = 0; p < n; p++) sum += load(from + p * s.tile + i);
    store(to + i, load(to + i) + sum);
  }
}

// The entries of a window of the pooling that lie in the frame; `exact` as in ConvSizes.
template <int exact> struct Window {
  int64_t y, x, top = 0, bottom = exact, left = 0, right = exact;
  Window(const ConvSizes& s, const Band& band, int64_t row, int64_t column)
      : y(row * s.pool_stride_h - s.pool_pad_h), x(column * s.pool_stride_w - s.pool_pad_w) {
    if (!exact) {
      top = y < 0 ? -y : 0;
      bottom = s.used_h - y < s.pool_h ? s.used_h - y : s.pool_h;
      left = x < 0 ? -x : 0;
      right = s.used_w - x < s.pool_w ? s.used_w - x : s.pool_w;
    }
    y -= band.first;
  }
  // Calls at(offset in the band, place in the window).
  template <class Function> inline __attribute__((always_inline)) void each(const ConvSizes& s, Function&& at) const {
    const int64_t width = exact ? exact : s.pool_w, pitch = s.pitch() * s.tile, corner = y * pitch + x * s.tile;
#pragma GCC unroll 2
    for (int64_t ky = top; ky < bottom; ky++)
#pragma GCC unroll 2
      for (int64_t kx = left; kx < right; kx++) at(corner + ky * pitch + kx * s.tile, ky * width + kx);
  }
};

// A byte for each lane. Held in a register before it becomes a number: GCC takes the conversion apart, lane by lane,
// where it sees that the bytes come from memory.
template <class Real> struct Bytes {
  typedef uint8_t Vec __attribute__((vector_size(lanes<Real>)));
  template <class T> static inline __attribute__((always_inline)) T held(T v) {
#if defined(__x86_64__)
    asm("" : "+x"(v));
#elif defined(__aarch64__)
    asm("" : "+w"(v));
#endif
    return v;
  }
  static inline __attribute__((always_inline)) Mask<Real> load(const uint8_t* from) {
    Vec v;
    memcpy(&v, from, sizeof v);
    return __builtin_convertvector(held(v), Mask<Real>);
  }
  static inline __attribute__((always_inline)) void store(uint8_t* to, Mask<Real> m) {
    const Vec v = __builtin_convertvector(held(m), Vec);
    memcpy(to, &v, sizeof v);
  }
};

// The maximum or the mean of each window of a band; where asked for, which entry of the window is the maximum: the
// first of equals, or a NaN. Exact windows leave the frame as it was started.
template <int exact, bool is_max, class Real>
void pool(const ConvSizes& s, const Band& band, const Real* first, Real* frame, Real* pooled, uint8_t* winners) {
  const Real share = Real(1) / Real(s.pool_h * s.pool_w);
  frame += s.line * s.tile;
  for (int64_t row = band.top; row < band.bottom; row++)
    for (int64_t column = 0; column < s.out_width; column++) {
      const Window<exact> window(s, band, row, column);
      const int64_t to = (row * s.out_width + column) * s.tile, corner = window.top * s.pool_w + window.left;
      const int64_t from = ((window.y + window.top) * s.pitch() + window.x + window.left) * s.tile;
      for (int64_t i = 0; i < s.tile; i += lanes<Real>) {
        Vec<Real> best = is_max ? load(frame + from + i) : Vec<Real>{};
        Mask<Real> winner = Mask<Real>{} + Int<Real>(corner);
        window.each(s, [&](int64_t at, int64_t k) {
          const Vec<Real> v = load(frame + at + i);
          if (is_max) {
            const Mask<Real> better = (v > best) | (v != v);
            best = better ? v : best;
            winner = better ? Mask<Real>{} + Int<Real>(k) : winner;
          } else {
            best += v * share;
          }
          if (exact) store(frame + at + i, load(first + i));
        });
        store(pooled + to + i, best);
        if (is_max && winners) Bytes<Real>::store(winners + to + i, winner);
      }
    }
}

// The gradient of a band from that of its pooled values.
template <int exact, bool is_max, class Real>
void unpool(const ConvSizes& s, const Band& band, const Real* pooled, const uint8_t* winners, Real* frame) {
  const Real share = Real(1) / Real(s.pool_h * s.pool_w);
  if (!exact) fill(frame, s.positions() * s.tile, Real(0));
  frame += s.line * s.tile;
  for (int64_t row = band.top; row < band.bottom; row++)
    for (int64_t column = 0; column < s.out_width; column++) {
      const Window<exact> window(s, band, row, column);
      const int64_t from = (row * s.out_width + column) * s.tile;
      for (int64_t i = 0; i < s.tile; i += lanes<Real>) {
        const Vec<Real> g = load(pooled + from + i), part = g * share;
        const Mask<Real> winner = is_max ? Bytes<Real>::load(winners + from + i) : Mask<Real>{};
        window.each(s, [&](int64_t at, int64_t k) {
          const Vec<Real> given = !is_max ? part : winner == Int<Real>(k) ? g : Vec<Real>{};
          store(frame + at + i, exact ? given : load(frame + at + i) + given);
        });
      }
    }
}

template <class Real>
void pool(const ConvSizes& s, const Band& band, const Real* first, Real* frame, Real* pooled, uint8_t* winners) {
  const auto by = s.is_max ? s.exact() == 2   ? pool<2, true, Real>
                             : s.exact() == 1 ? pool<1, true, Real>
                                              : pool<0, true, Real>
                  : s.exact() == 2   ? pool<2, false, Real>
                  : s.exact() == 1   ? pool<1, false, Real>
                                     : pool<0, false, Real>;
  by(s, band, first, frame, pooled, winners);
}
template <class Real>
void unpool(const ConvSizes& s, const Band& band, const Real* pooled, const uint8_t* winners, Real* frame) {
  const auto by = s.is_max ? s.exact() == 2   ? unpool<2, true, Real>
                             : s.exact() == 1 ? unpool<1, true, Real>
                                              : unpool<0, true, Real>
                  : s.exact() == 2   ? unpool<2, false, Real>
                  : s.exact() == 1   ? unpool<1, false, Real>
                                     : unpool<0, false, Real>;
  by(s, band, pooled, winners, frame);
}

// A block of as many rows as there are lanes, turned: in each stage lanes d apart change places with rows d apart.
template <class Real, int d, size_t... j>
SPIKELOOM_INLINE void swap_lanes(Vec<Real>& a, Vec<Real>& b, std::index_sequence<j...>) {
  constexpr int n = lanes<Real>;
  const Vec<Real> low = __builtin_shufflevector(a, b, int(j & d ? n + j - d : j)...);
  b = __builtin_shufflevector(a, b, int(j & d ? n + j : j + d)...);
  a = low;
}
template <class Real, int d> SPIKELOOM_INLINE void turn_stages(Vec<Real>* a) {
  if constexpr (d > 0) {
#pragma GCC unroll 16
    for (int i = 0; i < lanes<Real>; i++)
      if (!(i & d)) swap_lanes<Real, d>(a[i], a[i + d], std::make_index_sequence<lanes<Real>>());
    turn_stages<Real, d / 2>(a);
  }
}
template <class Real>
SPIKELOOM_INLINE void turn_block(const Real* from, int64_t from_stride, Real* to, int64_t to_stride) {
  constexpr int n = lanes<Real>;
  Vec<Real> a[n];
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) a[i] = load(from + i * from_stride);
  turn_stages<Real, n / 2>(a);
#pragma GCC unroll 16
  for (int i = 0; i < n; i++) store(to + i * to_stride, a[i]);
}

// to[j][i] = from[i][j] for i < rows, j < columns. The last blocks overlap those before them.
template <class Real>
void turn(const Real* from, int64_t rows, int64_t columns, int64_t from_stride, Real* to, int64_t to_stride) {
  constexpr int64_t n = lanes<Real>;
  if (rows < n || columns < n) {
    for (int64_t i = 0; i < rows; i++)
      for (int64_t j = 0; j < columns; j++) to[j * to_stride + i] = from[i * from_stride + j];
    return;
  }
  for (int64_t i = 0; i < rows; i += n)
    for (int64_t j = 0; j < columns; j += n) {
      const int64_t r = i + n <= rows ? i : rows - n, c = j + n <= columns ? j : columns - n;
      turn_block(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride);
    }
}

}  // namespace spikeloom
