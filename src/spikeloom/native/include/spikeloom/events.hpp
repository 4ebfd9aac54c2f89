// Lists of events by row and by neuron, made from events, bits and rasters. A row r = b * T + t is one sample in one
// step; rasters and bits are in the order m = t * B + b, the bits of a row in words of 64 neurons.
#pragma once

#include "simd.hpp"

namespace spikeloom {

// The first event of `step` from `begin` to `end` that is out of range or before the one in front of it, or -1.
template <class Step>
SPIKELOOM_INLINE int64_t bad_step(const Step* step, int64_t begin, int64_t end, int64_t n_steps) {
  Step unsorted = 0;  // of this type, as the compiler can sum up as many at once as it compares
  for (int64_t e = begin + 1; e < end; e++) unsorted |= Step(step[e] < step[e - 1]);
  if (begin == end || (!unsorted && step[begin] >= 0 && step[end - 1] < n_steps)) return -1;
  int64_t e = begin;
  for (Step before = 0; step[e] >= before && step[e] < n_steps; e++) before = step[e];
  return e;
}

template <class Step>
void rows_of_spikes(const int64_t* offsets, int64_t n_samples, const Step* step, int64_t n_steps, int64_t* start,
                    int64_t* bad) {
  constexpr int64_t stride = 16;
  int64_t row = 0;
  for (int64_t b = 0; b < n_samples; b++) {
    const int64_t end = offsets[b + 1];
    *bad = bad_step(step, offsets[b], end, n_steps);
    if (*bad >= 0) return;
    for (int64_t e = offsets[b]; e < end;) {
      const Step t = step[e];
      while (row <= b * n_steps + t) start[row++] = e;
      while (e + stride <= end && step[e + stride - 1] == t) e += stride;
      while (e < end && step[e] == t) e++;
    }
    while (row < (b + 1) * n_steps) start[row++] = end;
  }
  start[row] = offsets[n_samples];
  *bad = -1;
}

// The first place at which starts do not ascend from 0 to n_ids, or -1.
SPIKELOOM_INLINE int64_t bad_start(const int64_t* start, int64_t n_rows, int64_t n_ids) {
  if (start[0] != 0) return 0;
  for (int64_t r = 0; r < n_rows; r++)
    if (start[r + 1] < start[r]) return r + 1;
  return start[n_rows] == n_ids ? -1 : n_rows;
}

// The first id outside of low .. high - 1, or -1. Lower ones are large as unsigned numbers.
SPIKELOOM_INLINE int64_t bad_id(const int32_t* ids, int64_t n_ids, uint32_t low, uint32_t high) {
  constexpr int64_t block = 4096;
  for (int64_t begin = 0; begin < n_ids; begin += block) {
    const int64_t end = begin + block < n_ids ? begin + block : n_ids;
    uint32_t most = 0;
    for (int64_t i = begin; i < end; i++) most = uint32_t(ids[i]) - low > most ? uint32_t(ids[i]) - low : most;
    if (most < high - low) continue;
    for (int64_t i = begin; i < end; i++)
      if (uint32_t(ids[i]) - low >= high - low) return i;
  }
  return -1;
}

SPIKELOOM_INLINE uint64_t last_word(int64_t n) { return n % 64 ? (uint64_t(1) << (n % 64)) - 1 : ~uint64_t(0); }

SPIKELOOM_INLINE void start_of_bits(const uint64_t* bits, int64_t T, int64_t B, int64_t n, int64_t* start) {
  const int64_t words = (n + 63) / 64;
  int64_t total = 0;
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++) {
      const uint64_t* row = bits + (t * B + b) * words;
      start[b * T + t] = total;
      for (int64_t w = 0; w < words; w++)
        total += __builtin_popcountll(w + 1 < words ? row[w] : row[w] & last_word(n));
    }
  start[T * B] = total;
}

// Writes the places of the bits of a word, four at a time: up to three entries more than there are bits. How many there
// are is hard to predict, and a wrong guess costs more than four places.
SPIKELOOM_INLINE int32_t* ids_of_word(uint64_t word, int32_t first, int32_t* ids) {
  const int count = __builtin_popcountll(word);
  for (int done = 0; done < count; done += 4)
    for (int i = 0; i < 4; i++, word &= word - 1)
      ids[done + i] = first + __builtin_ctzll(word | (uint64_t(1) << 63));
  return ids + count;
}

SPIKELOOM_INLINE void ids_of_bits(const uint64_t* bits, int64_t T, int64_t B, int64_t n, int32_t* ids) {
  const int64_t words = (n + 63) / 64;
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++) {
      const uint64_t* row = bits + (t * B + b) * words;
      for (int64_t w = 0; w < words; w++)
        ids = ids_of_word(w + 1 < words ? row[w] : row[w] & last_word(n), int32_t(w * 64), ids);
    }
}

// The non-zeros of up to 64 numbers as bits; `other` collects lanes that are neither 0 nor 1.
template <class Real> SPIKELOOM_INLINE uint64_t word_of(const Real* x, int64_t n, Mask<Real>& other) {
  uint64_t word = 0;
  for (int64_t i = 0; i < n; i += lanes<Real>) {
    const Vec<Real> v = load_some(x + i, n - i);
    word |= bits(v != Real(0)) << i;
    other |= (v != Real(0)) & (v != Real(1));
  }
  return word;
}

template <class Real>
void bits_of_raster(const Real* x, int64_t stride, int64_t T, int64_t B, int64_t n, uint64_t* out, int64_t* graded) {
  const int64_t words = (n + 63) / 64;
  Mask<Real> other{};
  for (int64_t t = 0; t < T; t++)
    for (int64_t b = 0; b < B; b++)
      for (int64_t w = 0; w < words; w++) {
        const int64_t left = n - w * 64;
        *out++ = word_of(x + t * stride + b * n + w * 64, left < 64 ? left : 64, other);
      }
  *graded = bits(other) != 0;
}

// Eight bytes to eight bits, a bit set where the byte is not zero.
SPIKELOOM_INLINE uint64_t bits_of_bytes(uint64_t x) {
  const uint64_t low = 0x7f7f7f7f7f7f7f7f, ones = ((((x & low) + low) | x) & ~low) >> 7;
  return (ones * 0x0102040810204080) >> 56;
}

SPIKELOOM_INLINE void bits_of_byte_raster(const uint8_t* x, int64_t stride, int64_t T, int64_t B, int64_t n,
                                          uint64_t* out, int64_t* graded) {
  const int64_t words = (n + 63) / 64;
  uint64_t other = 0;
  for (int64_t t = 0; t < T; t++)
    for (int64_t b = 0; b < B; b++)
      for (int64_t w = 0; w < words; w++) {
        const uint8_t* p = x + t * stride + b * n + w * 64;
        const int64_t left = n - w * 64 < 64 ? n - w * 64 : 64;
        uint64_t word = 0;
        for (int64_t i = 0; i < left; i += 8) {
          uint64_t eight = 0;
          memcpy(&eight, p + i, size_t(left - i < 8 ? left - i : 8));
          word |= bits_of_bytes(eight) << i;
          other |= eight & ~uint64_t(0x0101010101010101);
        }
        *out++ = word;
      }
  *graded = other != 0;
}

template <class In, class Real>
void values_of_raster(const In* x, int64_t stride, int64_t T, int64_t B, int64_t n, const int64_t* start,
                      const int32_t* ids, Real* values) {
  for (int64_t b = 0; b < B; b++)
    for (int64_t t = 0; t < T; t++)
      for (int64_t e = start[b * T + t]; e < start[b * T + t + 1]; e++)
        values[e] = Real(x[t * stride + b * n + ids[e]]);
}

template <class Real>
void bits_to_raster(const uint64_t* in, int64_t begin, int64_t end, int64_t n, Real* out) {
  const int64_t words = (n + 63) / 64;
  Mask<Real> lane;
  for (int i = 0; i < lanes<Real>; i++) lane[i] = Int<Real>(1) << i;
  for (int64_t m = begin; m < end; m++)
    for (int64_t i = 0; i < n; i += lanes<Real>) {
      const Mask<Real> word = Mask<Real>{} + Int<Real>((in[m * words + i / 64] >> (i % 64)) & 0xffff);
      store_some(out + m * n + i, (word & lane) != 0 ? splat(Real(1)) : Vec<Real>{}, n - i);
    }
}

// A window of steps cut into chunks: `steps` steps of all samples, or one step of `samples` where these are many.
struct Chunks {
  int64_t T, B, first, last, steps, samples;

  struct Chunk {
    int64_t t, t_end, b, b_end;
  };
  int64_t beside() const { return (B + samples - 1) / samples; }
  int64_t count() const { return (last - first + steps - 1) / steps * beside(); }
  Chunk at(int64_t c) const {
    const int64_t t = first + c / beside() * steps, b = c % beside() * samples;
    return {t, t + steps < last ? t + steps : last, b, b + samples < B ? b + samples : B};
  }
};

// Where the events of each chunk begin in the lists, and at the end how many there are.
SPIKELOOM_INLINE void chunk_begins(const int64_t* start, Chunks in, int64_t* begins) {
  begins[0] = 0;
  for (int64_t c = 0; c < in.count(); c++) {
    const auto chunk = in.at(c);
    begins[c + 1] = begins[c];
    for (int64_t b = chunk.b; b < chunk.b_end; b++)
      begins[c + 1] += start[b * in.T + chunk.t_end] - start[b * in.T + chunk.t];
  }
}

template <bool VALUES, class Real>
SPIKELOOM_INLINE void place_events(const int64_t* start, const int32_t* ids, const Real* values, Chunks in,
                                   Chunks::Chunk chunk, int32_t* place, int32_t* rows, Real* turned) {
  for (int64_t b = chunk.b; b < chunk.b_end; b++)
    for (int64_t t = chunk.t; t < chunk.t_end; t++) {
      const int32_t m = int32_t(t * in.B + b);
      for (int64_t e = start[b * in.T + t], end = start[b * in.T + t + 1]; e < end; e++) {
        const int32_t to = place[ids[e]]++;
        rows[to] = m;
        if (VALUES) turned[to] = values[e];
      }
    }
}

// For the chunks from begin to end: where the list of each neuron starts, and the lists.
template <class Real>
void columns(const int64_t* start, const int32_t* ids, const Real* values, Chunks in, int64_t n, const int64_t* begins,
             int64_t* lists, int32_t* rows, Real* turned, int32_t* place, int64_t begin, int64_t end) {
  for (int64_t c = begin; c < end; c++) {
    const auto chunk = in.at(c);
    memset(place, 0, size_t(n) * sizeof *place);
    for (int64_t b = chunk.b; b < chunk.b_end; b++)
      for (int64_t e = start[b * in.T + chunk.t], last = start[b * in.T + chunk.t_end]; e < last; e++) place[ids[e]]++;
    int32_t at = 0;
    for (int64_t k = 0; k < n; k++) {
      const int32_t count = place[k];
      place[k] = at;
      lists[c * n + k] = begins[c] + at;
      at += count;
    }
    if (values)
      place_events<true>(start, ids, values, in, chunk, place, rows + begins[c], turned + begins[c]);
    else
      place_events<false>(start, ids, values, in, chunk, place, rows + begins[c], turned);
  }
}

}  // namespace spikeloom

#define SPIKELOOM_STEPS(SUFFIX, STEP)                                                                              \
  SPIKELOOM_EXPORT void rows_of_spikes_##SUFFIX(const int64_t* offsets, int64_t n_samples, const STEP* step,       \
                                                int64_t n_steps, int64_t* start, int64_t* bad) {                   \
    spikeloom::rows_of_spikes(offsets, n_samples, step, n_steps, start, bad);                                      \
  }
SPIKELOOM_STEPS(i32, int32_t)
SPIKELOOM_STEPS(i64, int64_t)

SPIKELOOM_EXPORT void check_lists(const int64_t* start, int64_t n_lists, const int32_t* ids, int64_t n_ids,
                                  int64_t low, int64_t high, int64_t* bad) {
  bad[0] = spikeloom::bad_start(start, n_lists, n_ids);
  bad[1] = spikeloom::bad_id(ids, n_ids, uint32_t(low), uint32_t(high));
}

SPIKELOOM_EXPORT void count_bits(const uint64_t* bits, int64_t n_words, int64_t* count) {
  int64_t total = 0;
  for (int64_t i = 0; i < n_words; i++) total += __builtin_popcountll(bits[i]);
  *count = total;
}
SPIKELOOM_EXPORT void start_of_bits(const uint64_t* bits, int64_t T, int64_t B, int64_t n, int64_t* start) {
  spikeloom::start_of_bits(bits, T, B, n, start);
}
SPIKELOOM_EXPORT void ids_of_bits(const uint64_t* bits, int64_t T, int64_t B, int64_t n, int32_t* ids) {
  spikeloom::ids_of_bits(bits, T, B, n, ids);
}
SPIKELOOM_EXPORT void bits_of_raster_u8(const uint8_t* x, int64_t stride, int64_t T, int64_t B, int64_t n,
                                        uint64_t* out, int64_t* graded) {
  spikeloom::bits_of_byte_raster(x, stride, T, B, n, out, graded);
}
SPIKELOOM_EXPORT void chunk_begins(const int64_t* start, int64_t T, int64_t B, int64_t first, int64_t last,
                                   int64_t steps, int64_t samples, int64_t* begins) {
  spikeloom::chunk_begins(start, {T, B, first, last, steps, samples}, begins);
}

#define SPIKELOOM_VALUES(SUFFIX, IN, REAL)                                                                         \
  SPIKELOOM_EXPORT void values_of_raster_##SUFFIX(const IN* x, int64_t stride, int64_t T, int64_t B, int64_t n,    \
                                                  const int64_t* start, const int32_t* ids, REAL* values) {        \
    spikeloom::values_of_raster(x, stride, T, B, n, start, ids, values);                                           \
  }
SPIKELOOM_VALUES(f32_f32, float, float)
SPIKELOOM_VALUES(f32_f64, float, double)
SPIKELOOM_VALUES(f64_f32, double, float)
SPIKELOOM_VALUES(f64_f64, double, double)
SPIKELOOM_VALUES(i8_f32, int8_t, float)
SPIKELOOM_VALUES(i8_f64, int8_t, double)
SPIKELOOM_VALUES(u8_f32, uint8_t, float)
SPIKELOOM_VALUES(u8_f64, uint8_t, double)

#define SPIKELOOM_EVENTS(SUFFIX, REAL)                                                                             \
  SPIKELOOM_EXPORT void bits_of_raster_##SUFFIX(const REAL* x, int64_t stride, int64_t T, int64_t B, int64_t n,    \
                                                uint64_t* out, int64_t* graded) {                                  \
    spikeloom::bits_of_raster(x, stride, T, B, n, out, graded);                                                    \
  }                                                                                                                \
  SPIKELOOM_EXPORT void bits_to_raster_##SUFFIX(const uint64_t* bits, int64_t begin, int64_t end, int64_t n,       \
                                                REAL* out) {                                                       \
    spikeloom::bits_to_raster(bits, begin, end, n, out);                                                           \
  }                                                                                                                \
  SPIKELOOM_EXPORT void columns_##SUFFIX(                                                                          \
      const int64_t* start, const int32_t* ids, const REAL* values, int64_t T, int64_t B, int64_t first,           \
      int64_t last, int64_t steps, int64_t samples, int64_t n, const int64_t* begins, int64_t* lists,              \
      int32_t* rows, REAL* turned, int32_t* place, int64_t begin, int64_t end) {                                   \
    spikeloom::columns(start, ids, values, {T, B, first, last, steps, samples}, n, begins, lists, rows, turned,    \
                       place, begin, end);                                                                         \
  }
SPIKELOOM_EVENTS(f32, float)
SPIKELOOM_EVENTS(f64, double)
