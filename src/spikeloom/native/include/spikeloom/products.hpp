// Products around a scan: packed weights, weight gradients from events, and dense products by register blocks.
// A tiled plane is [tile][m][width]; a packed weight of W (N, K) is [tile][k][width], its panels [tile of K][n][width].
#pragma once

#include "simd.hpp"

namespace spikeloom {

SPIKELOOM_INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// A number in all lanes; x - 0 is x, where 0 + x costs an addition.
template <class Real> SPIKELOOM_INLINE Vec<Real> broadcast(Real x) { return x - Vec<Real>{}; }

// Registers of 16 bytes for transposing: four floats or two doubles.
template <class Real> constexpr int side = 16 / int(sizeof(Real));
typedef float Four __attribute__((vector_size(16)));
typedef double Two __attribute__((vector_size(16)));
typedef float LooseFour __attribute__((vector_size(16), aligned(4), may_alias));
typedef double LooseTwo __attribute__((vector_size(16), aligned(8), may_alias));

template <int... I> SPIKELOOM_INLINE Four mix(Four a, Four b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, I...);
#else
  typedef int32_t Indices __attribute__((vector_size(16)));
  return __builtin_shuffle(a, b, Indices{I...});
#endif
}
template <int... I> SPIKELOOM_INLINE Two mix(Two a, Two b) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, I...);
#else
  typedef int64_t Indices __attribute__((vector_size(16)));
  return __builtin_shuffle(a, b, Indices{I...});
#endif
}

template <bool ADD> SPIKELOOM_INLINE void put(float* p, Four v) {
  *(LooseFour*)p = ADD ? *(const LooseFour*)p + v : v;
}
template <bool ADD> SPIKELOOM_INLINE void put(double* p, Two v) { *(LooseTwo*)p = ADD ? *(const LooseTwo*)p + v : v; }

template <bool ADD> SPIKELOOM_INLINE void transpose_block(const float* in, int64_t s, float* out, int64_t d) {
  const Four a = *(const LooseFour*)in, b = *(const LooseFour*)(in + s), c = *(const LooseFour*)(in + 2 * s),
             e = *(const LooseFour*)(in + 3 * s);
  const Four low = mix<0, 4, 1, 5>(a, b), high = mix<2, 6, 3, 7>(a, b), low_next = mix<0, 4, 1, 5>(c, e),
             high_next = mix<2, 6, 3, 7>(c, e);
  put<ADD>(out, mix<0, 1, 4, 5>(low, low_next));
  put<ADD>(out + d, mix<2, 3, 6, 7>(low, low_next));
  put<ADD>(out + 2 * d, mix<0, 1, 4, 5>(high, high_next));
  put<ADD>(out + 3 * d, mix<2, 3, 6, 7>(high, high_next));
}
template <bool ADD> SPIKELOOM_INLINE void transpose_block(const double* in, int64_t s, double* out, int64_t d) {
  const Two a = *(const LooseTwo*)in, b = *(const LooseTwo*)(in + s);
  put<ADD>(out, mix<0, 2>(a, b));
  put<ADD>(out + d, mix<1, 3>(a, b));
}

// out[c][r] = in[r][c], or added to it, for rows x columns numbers; blocks of 16 x 16 keep to few cache lines.
template <bool ADD, class Real>
void transpose(const Real* in, int64_t in_stride, int64_t rows, int64_t columns, Real* out, int64_t out_stride) {
  constexpr int64_t s = side<Real>;
  const int64_t whole_rows = rows / s * s, whole_columns = columns / s * s;
  for (int64_t c0 = 0; c0 < whole_columns; c0 += 16)
    for (int64_t r0 = 0; r0 < whole_rows; r0 += 16)
      for (int64_t r = r0; r < least(r0 + 16, whole_rows); r += s)
        for (int64_t c = c0; c < least(c0 + 16, whole_columns); c += s)
          transpose_block<ADD>(in + r * in_stride + c, in_stride, out + c * out_stride + r, out_stride);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t c = r < whole_rows ? whole_columns : 0; c < columns; c++) {
      Real& to = out[c * out_stride + r];
      to = ADD ? to + in[r * in_stride + c] : in[r * in_stride + c];
    }
}

// Tiles from begin to end of [tile][k][width] from W (N, K).
template <class Real>
void pack_weight(const Real* weight, int64_t N, int64_t K, int64_t width, Real* out, int64_t begin, int64_t end) {
  for (int64_t tile = begin; tile < end; tile++) {
    const int64_t n = least(width, N - tile * width);
    Real* to = out + tile * K * width;
    transpose<false>(weight + tile * width * K, K, n, K, to, width);
    if (n < width)
      for (int64_t k = 0; k < K; k++)
        for (int64_t i = n; i < width; i++) to[k * width + i] = 0;
  }
}

// Tiles from begin to end of [tile][m][width] from x (M, N), and back.
template <class Real>
void tile(const Real* x, int64_t M, int64_t N, int64_t width, Real* out, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; t++) {
    const int64_t n = least(width, N - t * width);
    for (int64_t m = 0; m < M; m++) {
      Real* to = out + (t * M + m) * width;
      memcpy(to, x + m * N + t * width, size_t(n) * sizeof(Real));
      for (int64_t i = n; i < width; i++) to[i] = 0;
    }
  }
}
template <class Real>
void untile(const Real* x, int64_t M, int64_t N, int64_t width, Real* out, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; t++) {
    const int64_t n = least(width, N - t * width);
    for (int64_t m = 0; m < M; m++)
      memcpy(out + m * N + t * width, x + (t * M + m) * width, size_t(n) * sizeof(Real));
  }
}

// Writes or adds the sums [k][width] of one tile to the gradient (N, K), for `count` neurons k from `from` on.
template <class Real>
SPIKELOOM_INLINE void put_sums(const Real* sum, int64_t tile, int64_t width, int64_t from, int64_t count, int64_t N,
                               int64_t K, bool add, Real* out) {
  const int64_t n = least(width, N - tile * width);
  Real* target = out + tile * width * K + from;
  if (add)
    transpose<true>(sum, width, count, n, target, K);
  else
    transpose<false>(sum, width, count, n, target, K);
}

// Adds to sum the rows of g that a list names, `shift` further on, each times its value.
template <int WIDTH, bool VALUES, class Real>
SPIKELOOM_INLINE void add_rows(const Real* g, const int32_t* rows, int64_t shift, const Real* values, int64_t n,
                               Real* sum) {
  constexpr int count = WIDTH / lanes<Real>;
  Vec<Real> s[count];
  for (int z = 0; z < count; z++) s[z] = load(sum + z * lanes<Real>);
  for (int64_t e = 0; e < n; e++) {
    const Real* row = g + (rows[e] + shift) * WIDTH;
    if (VALUES)
      for (int z = 0; z < count; z++) s[z] += broadcast(values[e]) * load(row + z * lanes<Real>);
    else
      for (int z = 0; z < count; z++) s[z] += load(row + z * lanes<Real>);
  }
  for (int z = 0; z < count; z++) store(sum + z * lanes<Real>, s[z]);
}

struct Lists {
  const int64_t* lists;
  const int32_t* rows;
  int64_t n_chunks, K;
};

// Units from begin to end, each one tile and one of `parts` parts of the K neurons. shift: the row of g of row 0. sum:
// room for a unit; without `out` the sums of all tiles, [tile][K][WIDTH], which are added to and stay.
template <int WIDTH, class Real>
void weight_gradient(Lists in, const Real* values, const Real* g, int64_t M, int64_t shift, int64_t N, int64_t parts,
                     Real* sum, Real* out, int64_t add, int64_t begin, int64_t end) {
  FlushDenormals flush;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t tile = unit / parts, from = unit % parts * in.K / parts, to = (unit % parts + 1) * in.K / parts;
    const Real* plane = g + tile * M * WIDTH;
    Real* own = out ? sum : sum + (tile * in.K + from) * WIDTH;
    if (out) memset(own, 0, size_t((to - from) * WIDTH) * sizeof(Real));
    for (int64_t c = 0; c < in.n_chunks; c++)
      for (int64_t k = from; k < to; k++) {
        const int64_t at = in.lists[c * in.K + k], n = in.lists[c * in.K + k + 1] - at;
        Real* to_add = own + (k - from) * WIDTH;
        if (n && values)
          add_rows<WIDTH, true>(plane, in.rows + at, shift, values + at, n, to_add);
        else if (n)
          add_rows<WIDTH, false>(plane, in.rows + at, shift, values, n, to_add);
      }
    if (out) put_sums(own, tile, WIDTH, from, to - from, N, in.K, add, out);
  }
}

// Events by row, as events.hpp has them, of the steps from `first` to `last`.
struct Rows {
  const int64_t* start;
  const int32_t* ids;
  int64_t T, B, first, last, K;
};

template <int WIDTH, class Real> SPIKELOOM_INLINE bool any(const Real* row) {
  Mask<Real> found{};
  for (int i = 0; i < WIDTH; i += lanes<Real>) found |= load(row + i) != Real(0);
  return bits(found) != 0;
}

// How many of the rows of g that are `stride` apart hold a number other than zero, of how many.
template <int WIDTH, class Real>
void sample_rows(const Real* g, int64_t rows, int64_t stride, int64_t* counts) {
  counts[0] = counts[1] = 0;
  for (int64_t m = 0; m < rows; m += stride, counts[1]++) counts[0] += any<WIDTH>(g + m * WIDTH);
}

// For each row of events from `from` to `to` adds the row of g, where it is not zero, to the sums [k][WIDTH] of a tile.
template <int WIDTH, bool VALUES, class Real>
void scatter(Rows in, const Real* values, const Real* plane, int64_t shift, int64_t from, int64_t to, Real* sum) {
  constexpr int count = WIDTH / lanes<Real>;
  if (from == to) return;
  for (int64_t m = from, t = from / in.B, b = from % in.B; m < to; m++) {
    const int64_t r = b * in.T + t;
    if (++b == in.B) b = 0, t++;
    const Real* row = plane + (m + shift) * WIDTH;
    if (in.start[r] == in.start[r + 1] || !any<WIDTH>(row)) continue;
    Vec<Real> v[count];
    for (int z = 0; z < count; z++) v[z] = load(row + z * lanes<Real>);
    for (int64_t e = in.start[r]; e < in.start[r + 1]; e++) {
      Real* to_add = sum + int64_t(in.ids[e]) * WIDTH;
      for (int z = 0; z < count; z++) {
        const Vec<Real> add = VALUES ? broadcast(values[e]) * v[z] : v[z];
        store(to_add + z * lanes<Real>, load(to_add + z * lanes<Real>) + add);
      }
    }
  }
}

// Units from begin to end, each one tile and one of `parts` parts of the rows, with sums [K][WIDTH] of its own, which
// start anew or are added to.
template <int WIDTH, class Real>
void scatter_gradient(Rows in, const Real* values, const Real* g, int64_t M, int64_t shift, int64_t parts, Real* sums,
                      int64_t add, int64_t begin, int64_t end) {
  FlushDenormals flush;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t part = unit % parts, rows = (in.last - in.first) * in.B, first = in.first * in.B;
    const Real* plane = g + unit / parts * M * WIDTH;
    Real* sum = sums + unit * in.K * WIDTH;
    if (!add) memset(sum, 0, size_t(in.K * WIDTH) * sizeof(Real));
    const int64_t from = first + part * rows / parts, to = first + (part + 1) * rows / parts;
    if (values)
      scatter<WIDTH, true>(in, values, plane, shift, from, to, sum);
    else
      scatter<WIDTH, false>(in, values, plane, shift, from, to, sum);
  }
}

// The gradient (N, K) from the sums of the parts of the tiles from begin to end.
template <class Real>
void gather_parts(const Real* sums, int64_t width, int64_t parts, int64_t N, int64_t K, Real* out, int64_t add,
                  int64_t begin, int64_t end) {
  FlushDenormals flush;
  for (int64_t tile = begin; tile < end; tile++)
    for (int64_t part = 0; part < parts; part++)
      put_sums(sums + (tile * parts + part) * K * width, tile, width, 0, K, N, K, add || part, out);
}

// The sums of the columns of the tiles from begin to end, over rows first to last; parts of them are summed first, which
// rounds less.
template <int WIDTH, class Real>
void bias_gradient(const Real* g, int64_t M, int64_t first, int64_t last, int64_t N, Real* out, int64_t add,
                   int64_t begin, int64_t end) {
  FlushDenormals flush;
  constexpr int count = WIDTH / lanes<Real>;
  constexpr int64_t block = 256;
  for (int64_t tile = begin; tile < end; tile++) {
    Vec<Real> total[count] = {};
    for (int64_t m0 = first; m0 < last; m0 += block) {
      Vec<Real> part[count] = {};
      for (int64_t m = m0; m < least(m0 + block, last); m++)
        for (int z = 0; z < count; z++) part[z] += load(g + (tile * M + m) * WIDTH + z * lanes<Real>);
      for (int z = 0; z < count; z++) total[z] += part[z];
    }
    for (int z = 0; z < count; z++) {
      const int64_t at = tile * WIDTH + z * lanes<Real>;
      if (at < N) store_some(out + at, add ? load_some(out + at, N - at) + total[z] : total[z], N - at);
    }
  }
}

// The left side of a product: element (r, k) is at r * row + k % piece * step + k / piece * jump.
template <class Real> struct Left {
  const Real* at;
  int64_t row, step, piece, jump;
};

// The right side, `count` rows that are `step` apart, and where the product (rows, n) goes, written or added. Rows
// are read in blocks of 1, 2 or 4 vectors, the last one whole: what is padded to a width has room for it.
template <class Real> struct Right {
  const Real* at;
  int64_t step, count;
  Real* out;
  int64_t stride, n;
  bool add;
};

// ROWS rows of a product, as many sums in registers at a time as PANELS vectors need.
template <int ROWS, int PANELS, class Real>
SPIKELOOM_INLINE void multiply(Left<Real> a, Right<Real> b, int64_t first) {
  for (int64_t i = 0; i < b.n; i += PANELS * lanes<Real>) {
    Vec<Real> sum[ROWS][PANELS] = {};
    for (int64_t k0 = 0; k0 < b.count; k0 += a.piece) {
      const Real* left = a.at + first * a.row + k0 / a.piece * a.jump;
      const Real* right = b.at + k0 * b.step + i;
      for (int64_t k = 0; k < least(a.piece, b.count - k0); k++) {
        Vec<Real> v[PANELS];
        for (int z = 0; z < PANELS; z++) v[z] = load(right + k * b.step + z * lanes<Real>);
        for (int r = 0; r < ROWS; r++) {
          const Vec<Real> x = broadcast(left[r * a.row + k * a.step]);
          for (int z = 0; z < PANELS; z++) sum[r][z] += x * v[z];
        }
      }
    }
    for (int r = 0; r < ROWS; r++)
      for (int z = 0; z < PANELS; z++) {
        const int64_t left = b.n - i - z * lanes<Real>;
        if (left <= 0) break;
        Real* to = b.out + (first + r) * b.stride + i + z * lanes<Real>;
        store_some(to, b.add ? load_some(to, left) + sum[r][z] : sum[r][z], left);
      }
  }
}

// As many sums as the registers hold: 24 of 32, or 12 of 16.
constexpr int registers = vector_bytes == 64 ? 24 : 12;

template <int PANELS, class Real> void multiply_rows(Left<Real> a, Right<Real> b, int64_t rows) {
  constexpr int R = PANELS == 1 ? registers / 2 : registers / PANELS;
  int64_t r = 0;
  for (; r + R <= rows; r += R) multiply<R, PANELS>(a, b, r);
  for (; r + R / 2 <= rows; r += R / 2) multiply<R / 2, PANELS>(a, b, r);
  for (; r < rows; r++) multiply<1, PANELS>(a, b, r);
}

template <class Real> void multiply_all(Left<Real> a, Right<Real> b, int64_t rows) {
  constexpr int most = vector_bytes == 64 ? 4 : 2;
  if (b.n <= lanes<Real>) return multiply_rows<1>(a, b, rows);
  if (most == 2 || b.n <= 2 * lanes<Real>) return multiply_rows<2>(a, b, rows);
  multiply_rows<most>(a, b, rows);
}

// How much of a reduction is done at a time: such a part of a tile stays in the second cache.
template <class Real> constexpr int64_t depth = 2048 / int64_t(sizeof(Real));

// out (M, N) of a (M, K) and a packed weight; units are parts of the rows of a tile.
template <class Real>
void dense_product(const Real* a, int64_t M, int64_t K, const Real* packed, int64_t N, int64_t width, int64_t parts,
                   Real* out, int64_t add, int64_t begin, int64_t end) {
  FlushDenormals flush;
  constexpr int64_t D = depth<Real>;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t tile = unit / parts, from = unit % parts * M / parts, to = (unit % parts + 1) * M / parts;
    for (int64_t k = 0; k < K; k += D)
      multiply_all<Real>({a + from * K + k, K, 1, D, 0},
                         {packed + (tile * K + k) * width, width, least(D, K - k), out + from * N + tile * width, N,
                          least(width, N - tile * width), add || k},
                         to - from);
  }
}

// out (M, K) of a tiled plane g and the panels of 64 of a weight (N, K); units are parts of the rows of a panel.
template <class Real>
void signal_gradient(const Real* g, int64_t M, int64_t N, int64_t width, const Real* panels, int64_t K, int64_t parts,
                     Real* out, int64_t add, int64_t begin, int64_t end) {
  FlushDenormals flush;
  constexpr int64_t D = depth<Real>, W = 64;
  for (int64_t unit = begin; unit < end; unit++) {
    const int64_t panel = unit / parts, from = unit % parts * M / parts, to = (unit % parts + 1) * M / parts;
    for (int64_t n = 0; n < N; n += D)
      multiply_all<Real>({g + n * M + from * width, width, 1, width, M * width},
                         {panels + (panel * N + n) * W, W, least(D, N - n), out + from * K + panel * W, K,
                          least(W, K - panel * W), add || n},
                         to - from);
  }
}

// A part of the columns of `a`, and a part of its rows, that a weight gradient takes at a time.
constexpr int64_t group = 96, span = 256;

// out (N, K) of a (M, K) and a tiled plane g, for `count` columns of a; packed: span x group, sum: N x group.
template <class Real>
void dense_weight_columns(const Real* a, int64_t M, int64_t K, int64_t from, int64_t count, const Real* g, int64_t N,
                          int64_t width, Real* packed, Real* sum, Real* out, bool add) {
  const int64_t tiles = (N + width - 1) / width;
  for (int64_t m = 0; m < M; m += span) {
    const int64_t rows = least(span, M - m);
    transpose<false>(a + m * K + from, K, rows, count, packed, span);
    for (int64_t tile = 0; tile < tiles; tile++)
      multiply_all<Real>({packed, span, 1, span, 0},
                         {g + (tile * M + m) * width, width, rows, sum + tile * group * width, width,
                          least(width, N - tile * width), m > 0},
                         count);
  }
  for (int64_t tile = 0; tile < tiles; tile++)
    put_sums(sum + tile * group * width, tile, width, from, count, N, K, add, out);
}

template <class Real>
void dense_weight_gradient(const Real* a, int64_t M, int64_t K, const Real* g, int64_t N, int64_t width, Real* packed,
                           Real* sum, Real* out, int64_t add, int64_t begin, int64_t end) {
  FlushDenormals flush;
  for (int64_t unit = begin; unit < end; unit++)
    dense_weight_columns(a, M, K, unit * group, least(group, K - unit * group), g, N, width, packed, sum, out, add);
}

// The same for one tile, in units of 64 columns: `a` is read once, in its own order, and the sums stay in `out`.
template <class Real>
void narrow_weight_gradient(const Real* a, int64_t M, int64_t K, const Real* g, int64_t N, int64_t width, Real* packed,
                            Real* sum, Real* out, int64_t add, int64_t begin, int64_t end) {
  FlushDenormals flush;
  constexpr int64_t W = 64, rows = 64;
  const int64_t whole = least(end, K / W);
  for (int64_t m = 0; m < M; m += rows)
    for (int64_t unit = begin; unit < whole; unit++)
      multiply_all<Real>({g + m * width, 1, width, rows, 0},
                         {a + m * K + unit * W, K, least(rows, M - m), out + unit * W, K, W, add || m}, N);
  if (whole < end) dense_weight_columns(a, M, K, whole * W, K - whole * W, g, N, width, packed, sum, out, add);
}

}  // namespace spikeloom

#define SPIKELOOM_BY_WIDTH(FUNCTION, REAL)        \
  (width == 16   ? spikeloom::FUNCTION<16, REAL>  \
   : width == 32 ? spikeloom::FUNCTION<32, REAL>  \
                 : spikeloom::FUNCTION<64, REAL>)

#define SPIKELOOM_PRODUCTS(SUFFIX, REAL)                                                                               \
  SPIKELOOM_EXPORT void pack_weight_##SUFFIX(const REAL* weight, int64_t N, int64_t K, int64_t width, REAL* out,       \
                                             int64_t begin, int64_t end) {                                             \
    spikeloom::pack_weight(weight, N, K, width, out, begin, end);                                                      \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void tile_##SUFFIX(const REAL* x, int64_t M, int64_t N, int64_t width, REAL* out, int64_t begin,    \
                                      int64_t end) {                                                                   \
    spikeloom::tile(x, M, N, width, out, begin, end);                                                                  \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void untile_##SUFFIX(const REAL* x, int64_t M, int64_t N, int64_t width, REAL* out, int64_t begin,  \
                                        int64_t end) {                                                                 \
    spikeloom::untile(x, M, N, width, out, begin, end);                                                                \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void weight_gradient_##SUFFIX(                                                                      \
      const int64_t* lists, const int32_t* rows, const REAL* values, int64_t n_chunks, int64_t K, const REAL* g,       \
      int64_t M, int64_t width, int64_t shift, int64_t N, int64_t parts, REAL* sum, REAL* out, int64_t add,            \
      int64_t begin, int64_t end) {                                                                                    \
    SPIKELOOM_BY_WIDTH(weight_gradient, REAL)                                                                          \
    ({lists, rows, n_chunks, K}, values, g, M, shift, N, parts, sum, out, add, begin, end);                            \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void scatter_gradient_##SUFFIX(                                                                     \
      const int64_t* start, const int32_t* ids, const REAL* values, int64_t T, int64_t B, int64_t first, int64_t last, \
      int64_t K, const REAL* g, int64_t M, int64_t width, int64_t shift, int64_t parts, REAL* sums, int64_t add,       \
      int64_t begin, int64_t end) {                                                                                    \
    SPIKELOOM_BY_WIDTH(scatter_gradient, REAL)                                                                         \
    ({start, ids, T, B, first, last, K}, values, g, M, shift, parts, sums, add, begin, end);                           \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void sample_rows_##SUFFIX(const REAL* g, int64_t rows, int64_t width, int64_t stride,               \
                                             int64_t* counts) {                                                        \
    SPIKELOOM_BY_WIDTH(sample_rows, REAL)(g, rows, stride, counts);                                                    \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void gather_parts_##SUFFIX(const REAL* sums, int64_t width, int64_t parts, int64_t N, int64_t K,    \
                                              REAL* out, int64_t add, int64_t begin, int64_t end) {                    \
    spikeloom::gather_parts(sums, width, parts, N, K, out, add, begin, end);                                           \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void bias_gradient_##SUFFIX(const REAL* g, int64_t M, int64_t first, int64_t last, int64_t N,       \
                                               int64_t width, REAL* out, int64_t add, int64_t begin, int64_t end) {    \
    SPIKELOOM_BY_WIDTH(bias_gradient, REAL)(g, M, first, last, N, out, add, begin, end);                               \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void dense_product_##SUFFIX(const REAL* a, int64_t M, int64_t K, const REAL* packed, int64_t N,     \
                                               int64_t width, int64_t parts, REAL* out, int64_t add, int64_t begin,    \
                                               int64_t end) {                                                          \
    spikeloom::dense_product(a, M, K, packed, N, width, parts, out, add, begin, end);                                  \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void dense_weight_gradient_##SUFFIX(const REAL* a, int64_t M, int64_t K, const REAL* g, int64_t N,  \
                                                       int64_t width, REAL* packed, REAL* sum, REAL* out,              \
                                                       int64_t add, int64_t begin, int64_t end) {                      \
    spikeloom::dense_weight_gradient(a, M, K, g, N, width, packed, sum, out, add, begin, end);                         \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void narrow_weight_gradient_##SUFFIX(const REAL* a, int64_t M, int64_t K, const REAL* g, int64_t N, \
                                                        int64_t width, REAL* packed, REAL* sum, REAL* out,             \
                                                        int64_t add, int64_t begin, int64_t end) {                     \
    spikeloom::narrow_weight_gradient(a, M, K, g, N, width, packed, sum, out, add, begin, end);                        \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void signal_gradient_##SUFFIX(const REAL* g, int64_t M, int64_t N, int64_t width,                   \
                                                 const REAL* panel, int64_t K, int64_t parts, REAL* out, int64_t add,  \
                                                 int64_t begin, int64_t end) {                                         \
    spikeloom::signal_gradient(g, M, N, width, panel, K, parts, out, add, begin, end);                             \
  }
SPIKELOOM_PRODUCTS(f32, float)
SPIKELOOM_PRODUCTS(f64, double)
