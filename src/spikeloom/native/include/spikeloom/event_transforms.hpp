// Transforms of event streams: selections, jitter, merging, and down-sampling by integration.
#pragma once

#include "event_filters.hpp"
#include "event_jitter.hpp"

namespace spikeloom {

// An address moved, or -1 where it would leave the sensor and is not clipped.
SPIKELOOM_INLINE int16_t moved(int64_t place, int64_t side, bool clip) {
  const int64_t inside = place < 0 ? 0 : place >= side ? side - 1 : place;
  return int16_t(clip || inside == place ? inside : -1);
}

// Both streams in order of time; of events of one time those of `a` come first.
SPIKELOOM_INLINE void merge_events(Stream a, Stream b, Kept out) {
  int64_t i = 0, j = 0;
  while (i < a.n && j < b.n) {
    const bool second = b.t[j] < a.t[i];
    const int64_t to = i + j;
    out.t[to] = *(second ? b.t + j : a.t + i);
    out.x[to] = *(second ? b.x + j : a.x + i);
    out.y[to] = *(second ? b.y + j : a.y + i);
    out.p[to] = *(second ? b.p + j : a.p + i);
    i += !second;
    j += second;
  }
  const Stream& rest = i < a.n ? a : b;
  const int64_t from = i < a.n ? i : j;
  const size_t left = size_t(rest.n - from);
  memcpy(out.t + i + j, rest.t + from, left * sizeof *out.t);
  memcpy(out.x + i + j, rest.x + from, left * sizeof *out.x);
  memcpy(out.y + i + j, rest.y + from, left * sizeof *out.y);
  memcpy(out.p + i + j, rest.p + from, left * sizeof *out.p);
}

// Ghosh et al. (2023): a pixel sums up its polarities as +1 and -1; where the sum has reached the threshold at the end
// of a window of `window` us, an event is made and the sum is cleared. The windows start with the first event; events
// are dated by the start of their window and stand in the order of their pixel's first event in it. `sum` and `seen`
// have a zero for each pixel, `active` room for n. The result is how many events there are, or -1 for a bad pixel.
SPIKELOOM_INLINE void integrate(Stream in, int64_t window, int64_t threshold, int64_t* sum, int64_t* seen,
                                int64_t* active, Kept out, int64_t* result) {
  int64_t made = 0, i = 0;
  *result = -1;
  if (!on_sensor(in, 0, in.n)) return;
  while (i < in.n) {
    const uint64_t number = (uint64_t(in.t[i]) - uint64_t(in.t[0])) / uint64_t(window);
    const uint64_t start = number * uint64_t(window);
    int64_t n_active = 0;
    const int64_t begin = i + 1;
    for (; i < in.n && (uint64_t(in.t[i]) - uint64_t(in.t[0])) - start < uint64_t(window); i++) {
      const int64_t pixel = in.y[i] * in.width + in.x[i];
      active[n_active] = pixel;
      n_active += seen[pixel] != begin;
      seen[pixel] = begin;
      sum[pixel] += in.p[i] ? 1 : -1;
    }
    for (int64_t k = 0; k < n_active; k++) {
      int64_t& total = sum[active[k]];
      out.t[made] = int64_t(uint64_t(in.t[0]) + start);
      out.x[made] = int16_t(active[k] % in.width);
      out.y[made] = int16_t(active[k] / in.width);
      out.p[made] = total > 0;
      const bool fires = total >= threshold || -total >= threshold;
      made += fires;
      total = fires ? 0 : total;
    }
  }
  *result = made;
}

// Ghosh et al. (2023): of events on windows from `first` on, one for each pixel and polarity that has more of them in a
// window than in the one before it; dated by the start of the window, in the order of the first event in it. The state
// has three numbers of zero for each pixel and polarity, `active` room for n.
SPIKELOOM_INLINE void differentiate(Stream in, int64_t first, int64_t window, int64_t* state, int64_t* active, Kept out,
                                    int64_t* result) {
  int64_t made = 0, i = 0;
  const int64_t pixels = in.width * in.height;
  *result = -1;
  if (!on_sensor(in, 0, in.n)) return;
  while (i < in.n) {
    const uint64_t number = (uint64_t(in.t[i]) - uint64_t(first)) / uint64_t(window);
    const uint64_t start = number * uint64_t(window);
    const int64_t now = int64_t(number) + 1;
    int64_t n_active = 0;
    for (; i < in.n && (uint64_t(in.t[i]) - uint64_t(first)) - start < uint64_t(window); i++) {
      const int64_t place = (in.p[i] ? pixels : 0) + in.y[i] * in.width + in.x[i];
      int64_t *when = state + 3 * place, *count = when + 1, *before = when + 2;
      if (*when != now) {
        *before = *when == now - 1 ? *count : 0;
        *count = 0;
        *when = now;
        active[n_active++] = place;
      }
      ++*count;
    }
    for (int64_t k = 0; k < n_active; k++) {
      const int64_t place = active[k], pixel = place % pixels;
      out.t[made] = int64_t(uint64_t(first) + start);
      out.x[made] = int16_t(pixel % in.width);
      out.y[made] = int16_t(pixel / in.width);
      out.p[made] = place >= pixels;
      made += (now > 1) & (state[3 * place + 1] > state[3 * place + 2]);
    }
  }
  *result = made;
}

}  // namespace spikeloom

// The events within a box of the sensor, as pixels of a sensor that it is; or those outside of it. An address to the
// left of the box or above it is beyond the other side as an unsigned number.
SPIKELOOM_EXPORT void select_box(SPIKELOOM_STREAM, int64_t left, int64_t top, int64_t box_width, int64_t box_height,
                                 int64_t inside) {
  using namespace spikeloom;
  const uint16_t x0 = uint16_t(left), y0 = uint16_t(top), wide = uint16_t(box_width), high = uint16_t(box_height);
  int16_t column[stream_block], row[stream_block];
  uint8_t keep[stream_block];
  Writer writer(SPIKELOOM_OUT, n);
  for (int64_t begin = 0; begin < n; begin += stream_block) {
    const int64_t size = begin + stream_block < n ? stream_block : n - begin;
    for (int64_t i = 0; i < size; i++) {
      const uint16_t across = uint16_t(uint16_t(x[begin + i]) - x0), down = uint16_t(uint16_t(y[begin + i]) - y0);
      column[i] = int16_t(across);
      row[i] = int16_t(down);
      keep[i] = uint8_t((across < wide) & (down < high)) == uint8_t(inside);
    }
    writer.move({t + begin, inside ? column : x + begin, inside ? row : y + begin, p + begin, size, width, height},
                size, keep);
  }
  *result = writer.finish();
}

// Drops each event whose random number is below `bound`.
SPIKELOOM_EXPORT void drop_events(SPIKELOOM_STREAM, uint64_t key, uint64_t bound) {
  const spikeloom::Stream in SPIKELOOM_IN;
  const auto stays = [&](int64_t i) { return spikeloom::random_bits(key, i) >= bound; };
  spikeloom::filter<false>(in, SPIKELOOM_OUT, stays, result);
}

SPIKELOOM_EXPORT void flip_polarities(const int8_t* p, int64_t n, uint64_t key, uint64_t bound, int8_t* to_p) {
  for (int64_t i = 0; i < n; i++) to_p[i] = int8_t((p[i] != 0) ^ (spikeloom::random_bits(key, i) < bound));
}

// round(t * coefficient) + offset, which the caller makes sure to be numbers of 64 bits. Where the products are below
// 2**51, the sum with a number whose last digit is worth 1 rounds them, in vectors; they are written down before, lest
// product and sum are rounded as one.
SPIKELOOM_EXPORT void scale_times(const int64_t* t, int64_t n, double coefficient, int64_t offset, int64_t small,
                                  int64_t* to_t) {
  constexpr double whole = 6755399441055744.0;
  spikeloom::write_blocks(to_t, n, [=](int64_t begin, int64_t size, int64_t* __restrict next) {
    const auto sum = [](int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); };
    double product[spikeloom::stream_block];
    for (int64_t i = 0; i < size; i++) product[i] = double(t[begin + i]) * coefficient;
    if (small)
      for (int64_t i = 0; i < size; i++) next[i] = sum(int64_t(product[i] + whole - whole), offset);
    else
      for (int64_t i = 0; i < size; i++) next[i] = sum(int64_t(__builtin_rint(product[i])), offset);
  });
}

// The events backwards, dated from `sum` on, with other polarities if told so.
SPIKELOOM_EXPORT void reverse_events(SPIKELOOM_STREAM, int64_t sum, int64_t flip) {
  using spikeloom::write_each;
  const int64_t last = n - 1;
  write_each(to_t, n, [=](int64_t i) { return int64_t(uint64_t(sum) - uint64_t(t[last - i])); });
  write_each(to_x, n, [=](int64_t i) { return x[last - i]; });
  write_each(to_y, n, [=](int64_t i) { return y[last - i]; });
  write_each(to_p, n, [=, other = int8_t(flip)](int64_t i) { return int8_t(p[last - i] ^ other); });
  *result = n;
}

// The events but those from begin to end.
SPIKELOOM_EXPORT void drop_span(SPIKELOOM_STREAM, int64_t begin, int64_t end) {
  const bool past = spikeloom::beyond_caches(n);
  const auto without = [=](auto* to, const auto* from) {
    spikeloom::copy(to, from, begin, past);
    spikeloom::copy(to + begin, from + end, n - end, past);
  };
  without(to_t, t), without(to_x, x), without(to_y, y), without(to_p, p);
  spikeloom::streamed();
  *result = begin + n - end;
}

// Moves the pixels. clip: those that would leave the sensor stay at its edge and only x and y are written, n of each;
// else these events are dropped.
SPIKELOOM_EXPORT void jitter_pixels(SPIKELOOM_STREAM, uint64_t key, const uint64_t* entry_x, int64_t size_x,
                                    const uint64_t* entry_y, int64_t size_y, int64_t clip) {
  const spikeloom::Shifts shift_x{entry_x, size_x}, shift_y{entry_y, size_y};
  const spikeloom::Kept out SPIKELOOM_OUT;
  int16_t block_x[spikeloom::stream_block], block_y[spikeloom::stream_block];
  uint8_t keep[spikeloom::stream_block];
  spikeloom::Writer writer(out, n);
  for (int64_t begin = 0; begin < n; begin += spikeloom::stream_block) {
    const int64_t size = begin + spikeloom::stream_block < n ? spikeloom::stream_block : n - begin;
    int16_t *moved_x = clip ? to_x + begin : block_x, *moved_y = clip ? to_y + begin : block_y;
    for (int64_t i = 0; i < size; i++) {
      const uint64_t number = spikeloom::random_bits(key, begin + i);
      moved_x[i] = spikeloom::moved(x[begin + i] + shift_x.draw(uint32_t(number >> 32)), width, clip);
      moved_y[i] = spikeloom::moved(y[begin + i] + shift_y.draw(uint32_t(number)), height, clip);
    }
    if (clip) continue;
    for (int64_t i = 0; i < size; i++) keep[i] = (moved_x[i] >= 0) & (moved_y[i] >= 0);
    const spikeloom::Stream block{t + begin, moved_x, moved_y, p + begin, size, width, height};
    writer.move(block, size, keep);
  }
  *result = clip ? n : writer.finish();
}

// Moves the times, as `Shifts::add` does.
SPIKELOOM_EXPORT void jitter_times(const int64_t* t, int64_t n, uint64_t key, const uint64_t* entry, int64_t size,
                                   int64_t cell, int64_t* to_t) {
  memcpy(to_t, t, size_t(n) * sizeof *t);
  spikeloom::Shifts{entry, size}.add(key, 0, n, cell, (uint64_t*)to_t);
}

// The same of a stream in order, in order, with times before 0 clipped to it if told so; the result is -1 where it cannot
// be done so.
SPIKELOOM_EXPORT void jitter_sorted(SPIKELOOM_STREAM, uint64_t key, const uint64_t* entry, int64_t size, int64_t cell,
                                    int64_t clip, int64_t chunk, uint64_t* waiting, uint64_t* sorted, uint32_t* place,
                                    int64_t room) {
  const spikeloom::JitterRoom held{waiting, sorted, place, room, chunk};
  spikeloom::TimeJitter jitter(SPIKELOOM_IN, key, {entry, size}, cell, clip, held, SPIKELOOM_OUT);
  *result = jitter.run();
}

SPIKELOOM_EXPORT void merge_events(SPIKELOOM_STREAM, const int64_t* more_t, const int16_t* more_x,
                                   const int16_t* more_y, const int8_t* more_p, int64_t more) {
  spikeloom::merge_events(SPIKELOOM_IN, {more_t, more_x, more_y, more_p, more, width, height}, SPIKELOOM_OUT);
  *result = n + more;
}

SPIKELOOM_EXPORT void integrate(SPIKELOOM_STREAM, int64_t window, int64_t threshold, int64_t* sum, int64_t* seen,
                                int64_t* active) {
  spikeloom::integrate(SPIKELOOM_IN, window, threshold, sum, seen, active, SPIKELOOM_OUT, result);
}

SPIKELOOM_EXPORT void differentiate(SPIKELOOM_STREAM, int64_t first, int64_t window, int64_t* state, int64_t* active) {
  spikeloom::differentiate(SPIKELOOM_IN, first, window, state, active, SPIKELOOM_OUT, result);
}
