// Filters of event streams: which events stay. A stream is t in microseconds that never falls, x, y and p, n of each; the
// arrays of what is kept have room for n. Every pixel is checked before use.
#pragma once

#include "event_pixels.hpp"

namespace spikeloom {

// Whether all events from begin to end have a pixel of the sensor. Negative addresses are large as unsigned ones.
SPIKELOOM_INLINE bool on_sensor(const Stream& in, int64_t begin, int64_t end) {
  uint16_t x = 0, y = 0;
  for (int64_t i = begin; i < end; i++) {
    x = uint16_t(in.x[i]) > x ? uint16_t(in.x[i]) : x;
    y = uint16_t(in.y[i]) > y ? uint16_t(in.y[i]) : y;
  }
  return x < in.width && y < in.height;
}

// Asks for the state of the pixel of an event that comes soon: only an address, which need not be one of the sensor.
template <class State> SPIKELOOM_INLINE void fetch(const Stream& in, int64_t i, const State* state, int64_t stride) {
  const int64_t ahead = i + 24 < in.n ? i + 24 : i;
  __builtin_prefetch(state + (in.y[ahead] * stride + in.x[ahead]));
}

// Keeps the events of which the rule, called for each block in order, sets `keep` to 1. The result is how many these
// are, or -1 where an event has no pixel of the sensor and the rule reads the pixels.
template <bool PIXELS = true, class Rule>
SPIKELOOM_INLINE void filter_blocks(Stream in, Kept out, Rule rule, int64_t* result) {
  uint8_t keep[stream_block];
  Writer writer(out, in.n);
  for (int64_t begin = 0; begin < in.n; begin += stream_block) {
    const int64_t size = begin + stream_block < in.n ? stream_block : in.n - begin;
    if (PIXELS && !on_sensor(in, begin, begin + size)) {
      *result = -1;
      return;
    }
    rule(begin, size, keep);
    const Stream block{in.t + begin, in.x + begin, in.y + begin, in.p + begin, size, in.width, in.height};
    writer.move(block, size, keep);
  }
  *result = writer.finish();
}

// The same with a rule that is called for each event in order and returns whether it stays.
template <bool PIXELS = true, class Rule>
SPIKELOOM_INLINE void filter(Stream in, Kept out, Rule rule, int64_t* result) {
  filter_blocks<PIXELS>(in, out, [&](int64_t begin, int64_t size, uint8_t* keep) {
    for (int64_t i = 0; i < size; i++) keep[i] = rule(begin + i);
  }, result);
}

// Times as numbers from `time + 1` on, so that 0 is a time before all others. The caller makes sure that they fit.
template <class Stamp> struct Clock {
  const int64_t* t;
  uint64_t zero;
  Clock(const Stream& in, int64_t time) : t(in.t), zero(in.n ? uint64_t(in.t[0]) - uint64_t(time) - 1 : 0) {}
  Stamp at(int64_t i) const { return Stamp(uint64_t(t[i]) - zero); }
};

// From one time to another, wrapped where a stream's times fall although it says that they do not.
template <class Stamp> SPIKELOOM_INLINE Stamp since(Stamp now, Stamp then) {
  return Stamp(uint64_t(now) - uint64_t(then));
}

template <class Stamp> SPIKELOOM_INLINE bool any_since(const Stamp* last, int64_t n, Stamp bound) {
  bool any = false;
  for (int64_t i = 0; i < n; i++) any |= last[i] >= bound;
  return any;
}

typedef int64_t TwoHalves __attribute__((vector_size(16)));
typedef int32_t FourStamps __attribute__((vector_size(16)));
typedef int32_t LooseStamps __attribute__((vector_size(16), aligned(4), may_alias));

// Whether any of the pixels around `centre` has a stamp of at least `bound`, which is above 0. There is a border.
template <bool ITSELF> SPIKELOOM_INLINE bool near(const int32_t* centre, int64_t stride, int32_t bound) {
  const FourStamps three = {-1, -1, -1, 0}, sides = {-1, ITSELF ? -1 : 0, -1, 0};
  const FourStamps above = *(const LooseStamps*)(centre - stride - 1);
  const FourStamps below = *(const LooseStamps*)(centre + stride - 1);
  const FourStamps beside = *(const LooseStamps*)(centre - 1);
  const FourStamps found = (((above >= bound) | (below >= bound)) & three) | ((beside >= bound) & sides);
  const TwoHalves halves = (TwoHalves)found;
  return (halves[0] | halves[1]) != 0;
}
template <bool ITSELF> SPIKELOOM_INLINE bool near(const int64_t* centre, int64_t stride, int64_t bound) {
  return any_since(centre - stride - 1, 3, bound) | any_since(centre + stride - 1, 3, bound) | (centre[-1] >= bound) |
         (centre[1] >= bound) | (ITSELF && centre[0] >= bound);
}

// Delbruck (2008): an event stays where one of the 8 pixels around had an event within the `time` before. `last` has
// (height + 2) rows of (width + 2) zeros, and two more numbers at its end.
template <bool ITSELF, class Stamp>
void background_activity(Stream in, int64_t time, Stamp* last, Kept out, int64_t* result) {
  const Clock<Stamp> clock(in, time);
  const int64_t stride = in.width + 2;
  filter(in, out, [&](int64_t i) {
    const Stamp stamp = clock.at(i);
    Stamp* centre = last + (int64_t(in.y[i]) + 1) * stride + in.x[i] + 1;
    const bool keep = near<ITSELF>(centre, stride, since(stamp, Stamp(time)));
    *centre = stamp;
    return keep;
  }, result);
}

// An event stays where `time` or more has gone by since the last one of its pixel that stayed, or since the last one
// (every). `last` has a zero for each pixel, or each pixel and polarity.
template <class Stamp>
void refractory(Stream in, int64_t time, bool by_polarity, bool every, Stamp* last, Kept out, int64_t* result) {
  const Clock<Stamp> clock(in, time);
  const int64_t polarity = by_polarity ? in.width * in.height : 0;
  filter(in, out, [&](int64_t i) {
    const Stamp stamp = clock.at(i);
    fetch(in, i, last, in.width);
    Stamp& before = last[int64_t(in.y[i]) * in.width + in.x[i] + (in.p[i] != 0) * polarity];
    const bool keep = since(stamp, before) >= Stamp(time);
    const Stamp all_bits = -Stamp(keep | every);  // not a branch, which would be hard to predict
    before ^= (before ^ stamp) & all_bits;
    return keep;
  }, result);
}

// Every n-th event of a pixel stays. `seen` has a zero for each pixel.
SPIKELOOM_INLINE void decimate(Stream in, int64_t n, uint32_t* seen, Kept out, int64_t* result) {
  filter(in, out, [&](int64_t i) {
    fetch(in, i, seen, in.width);
    uint32_t& count = seen[int64_t(in.y[i]) * in.width + in.x[i]];
    const uint32_t now = count + 1;
    const bool keep = now == uint32_t(n);
    count = keep ? 0 : now;
    return keep;
  }, result);
}

}  // namespace spikeloom

#define SPIKELOOM_STREAM                                                                                             \
  const int64_t *t, const int16_t *x, const int16_t *y, const int8_t *p, int64_t n, int64_t width, int64_t height,    \
      int64_t *to_t, int16_t *to_x, int16_t *to_y, int8_t *to_p, int64_t *result
#define SPIKELOOM_IN {t, x, y, p, n, width, height}
#define SPIKELOOM_OUT {to_t, to_x, to_y, to_p}

#define SPIKELOOM_STAMPS(SUFFIX, STAMP)                                                                               \
  SPIKELOOM_EXPORT void background_activity_##SUFFIX(SPIKELOOM_STREAM, int64_t time, int64_t itself, STAMP* last) {   \
    if (itself)                                                                                                       \
      spikeloom::background_activity<true, STAMP>(SPIKELOOM_IN, time, last, SPIKELOOM_OUT, result);                   \
    else                                                                                                              \
      spikeloom::background_activity<false, STAMP>(SPIKELOOM_IN, time, last, SPIKELOOM_OUT, result);                  \
  }                                                                                                                   \
  SPIKELOOM_EXPORT void refractory_##SUFFIX(SPIKELOOM_STREAM, int64_t time, int64_t by_polarity, int64_t every,       \
                                            STAMP* last) {                                                            \
    spikeloom::refractory<STAMP>(SPIKELOOM_IN, time, by_polarity, every, last, SPIKELOOM_OUT, result);                \
  }
SPIKELOOM_STAMPS(i32, int32_t)
SPIKELOOM_STAMPS(i64, int64_t)

SPIKELOOM_EXPORT void decimate(SPIKELOOM_STREAM, int64_t every, uint32_t* seen) {
  spikeloom::decimate(SPIKELOOM_IN, every, seen, SPIKELOOM_OUT, result);
}

// The events of pixels whose bit in `table`, of height x width bits, is 1: that of pixel 0 is the lowest.
SPIKELOOM_EXPORT void select_pixels(SPIKELOOM_STREAM, const uint32_t* table) {
  const spikeloom::Stream in SPIKELOOM_IN;
  const spikeloom::PixelSet pixels(in, table);
  spikeloom::filter_blocks(in, SPIKELOOM_OUT, [&](int64_t begin, int64_t size, uint8_t* keep) {
    pixels.look_up(in, begin, size, keep);
  }, result);
}

// The events whose entry in `mask` is not 0.
SPIKELOOM_EXPORT void select_events(SPIKELOOM_STREAM, const uint8_t* mask) {
  const spikeloom::Stream in SPIKELOOM_IN;
  spikeloom::filter<false>(in, SPIKELOOM_OUT, [&](int64_t i) { return mask[i] != 0; }, result);
}

// How many events each pixel has: `count` and `low` are height x width zeros. A count goes up in `low`, which fits the
// second cache, and is carried once in 256 times.
SPIKELOOM_EXPORT void count_pixels(const int16_t* x, const int16_t* y, int64_t n, int64_t width, int64_t height,
                                   int64_t* count, uint8_t* low, int64_t* result) {
  const spikeloom::Stream in{nullptr, x, y, nullptr, n, width, height};
  uint32_t pixel[spikeloom::stream_block];
  for (int64_t begin = 0; begin < n; begin += spikeloom::stream_block) {
    const int64_t size = begin + spikeloom::stream_block < n ? spikeloom::stream_block : n - begin;
    if (!spikeloom::on_sensor(in, begin, begin + size)) {
      *result = -1;
      return;
    }
    spikeloom::pixels_of(in, begin, size, pixel);
    for (int64_t i = 0; i < size; i++)
      if (__builtin_expect(++low[pixel[i]] == 0, 0)) count[pixel[i]] += 256;
  }
  for (int64_t k = 0; k < width * height; k++) count[k] += low[k];
  *result = n;
}
