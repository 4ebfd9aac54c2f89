// Pictures of an event camera's stream: counts, bit planes, voxel grids, time surfaces and their averages; and its
// spikes on a grid. An event e has the pixel (x[e], y[e]) and the polarity p[e], 1 for ON. Each function stops at the
// first event that lies outside of the sensor and writes its number to `bad`, else -1.
#pragma once

#include <algorithm>
#include <limits>

#include "functions.hpp"

namespace spikeloom {

enum : int64_t { separate, merged, with_sign };  // two planes, OFF first; one plane; one in which OFF counts -1

template <int64_t polarity> struct Pixels {
  const int16_t *x, *y;
  const int8_t* p;
  int64_t n, width, height;

  int64_t size() const { return (polarity == separate ? 2 : 1) * width * height; }
  // The place of an event's pixel in a frame, or -1. A negative address is a large one as an unsigned number.
  int64_t at(int64_t e) const {
    const int64_t column = uint16_t(x[e]), row = uint16_t(y[e]);
    if (column >= width || row >= height) return -1;
    return (polarity == separate ? (p[e] > 0) * width * height : 0) + row * width + column;  // no branch: it is a coin
  }
  static constexpr bool has_sign = polarity == with_sign;
  int sign(int64_t e) const { return polarity == with_sign ? 2 * (p[e] > 0) - 1 : 1; }
};

// What a function returns of the pixels of one of the three kinds.
template <class Function>
int64_t of_pixels(const int16_t* x, const int16_t* y, const int8_t* p, int64_t n, int64_t width, int64_t height,
                  int64_t polarity, Function f) {
  if (polarity == separate) return f(Pixels<separate>{x, y, p, n, width, height});
  if (polarity == merged) return f(Pixels<merged>{x, y, p, n, width, height});
  return f(Pixels<with_sign>{x, y, p, n, width, height});
}

// The time from one event to a later one, which may be longer than int64 holds.
SPIKELOOM_INLINE uint64_t since(int64_t now, int64_t then) { return uint64_t(now) - uint64_t(then); }

// The events from begin to end, as far as there are such.
SPIKELOOM_INLINE int64_t window_begin(const int64_t* begin, int64_t w) { return std::max<int64_t>(begin[w], 0); }
SPIKELOOM_INLINE int64_t window_end(const int64_t* end, int64_t w, int64_t n) { return std::min(end[w], n); }

// The places of `size` events, found in vectors; the first event that has none, or -1.
template <class Source> int64_t places(const Source& in, int64_t begin, int64_t size, int64_t* place) {
  int64_t least = 0;
  for (int64_t i = 0; i < size; i++) {
    place[i] = in.at(begin + i);
    least = std::min(least, place[i]);
  }
  for (int64_t i = 0; i < size && least < 0; i++)
    if (place[i] < 0) return begin + i;
  return -1;
}

// Calls f with each event from begin to end and what a target larger than the cache has at its place. The places of
// some events are found at once, in vectors, and asked for before the first is used. The first event that has no place,
// or -1.
template <class Source, class Target, class Function>
int64_t for_each(const Source& in, int64_t begin, int64_t end, Target* target, Function f) {
  constexpr int64_t block = 128;
  int64_t place[block];
  for (; begin < end; begin += block) {
    const int64_t size = std::min(end - begin, block);
    const int64_t bad = places(in, begin, size, place);
    if (bad >= 0) return bad;
    for (int64_t i = 0; i < size; i++) __builtin_prefetch(target + place[i], 1);
    for (int64_t i = 0; i < size; i++) f(begin + i, target[place[i]]);
  }
  return -1;
}

// Adds to a count, which stays at the largest that its type can hold, and as far below zero at the least.
template <class Count, class Number> SPIKELOOM_INLINE void add_to(Count& count, Number more) {
  constexpr bool real = std::is_floating_point<Count>::value;
  using Wide = std::conditional_t<real, float, int64_t>;
  constexpr Wide most = real ? Wide(1 << 24) : Wide(std::numeric_limits<Count>::max());
  count = Count(std::min(std::max(Wide(count) + Wide(more), -most), most));
}

// Writes bytes as counts, past the caches if told so.
template <class Count> SPIKELOOM_INLINE void counts_of_bytes(int8_t* bytes, int64_t n, bool past, Count* out) {
  constexpr int64_t width = vector_bytes / int64_t(sizeof(Count));
  typedef int8_t Bytes __attribute__((vector_size(width), aligned(1), may_alias));
  typedef Count Counts __attribute__((vector_size(vector_bytes)));
  int64_t i = 0;
  for (; i < n && !on_vector(out + i); i++) out[i] = Count(bytes[i]);
  for (; past && i + width <= n; i += width) stream(out + i, __builtin_convertvector(*(Bytes*)(bytes + i), Counts));
  for (; i < n; i++) out[i] = Count(bytes[i]);
  if (past) streamed();
}

// Counts events in `bytes`, which stay in the cache where frames do not; what a byte cannot hold goes to the frame. The
// bytes are zero before and after.
template <class Count, class Source>
int64_t count_in_bytes(const Source& in, int64_t begin, int64_t end, int8_t* bytes, bool past, Count* frame) {
  constexpr int8_t full = 127;
  constexpr int64_t block = 256;
  int64_t place[block];
  bool spilled = false;
  for (; begin < end; begin += block) {
    const int64_t size = std::min(end - begin, block);
    const int64_t bad = places(in, begin, size, place);
    if (bad >= 0) return bad;
    for (int64_t i = 0; i < size; i++) {
      const int64_t at = place[i];
      const int8_t now = int8_t(bytes[at] + in.sign(begin + i));
      bytes[at] = now;
      if (__builtin_expect(now == full || (in.has_sign && now == -full), 0)) {
        if (!spilled) memset(frame, 0, size_t(in.size()) * sizeof *frame);
        add_to(frame[at], now);
        bytes[at] = 0;
        spilled = true;
      }
    }
  }
  if (spilled)
    for (int64_t i = 0; i < in.size(); i++) add_to(frame[i], bytes[i]);
  else
    counts_of_bytes(bytes, in.size(), past, frame);
  memset(bytes, 0, size_t(in.size()));
  return -1;
}

// Counts the events of each window in a frame of its own, which may hold anything. Frames that no cache holds together
// are written past it, each at once, unless there are so few events that most of a frame is only cleared. The bytes, one
// for each number of a frame, may hold anything.
template <class Count, class Source>
int64_t count_frames(const Source& in, const int64_t* begin, const int64_t* end, int64_t n_frames, int8_t* bytes,
                     Count* out) {
  const int64_t size = in.size() * int64_t(sizeof *out);
  const bool past = n_frames * size > (1 << 24);
  bool any = false;  // whether the bytes were needed, and so are zero
  for (int64_t f = 0; f < n_frames; f++, out += in.size()) {
    const int64_t first = window_begin(begin, f), last = window_end(end, f, in.n), n = last - first;
    const auto count = [&](int64_t e, Count& number) { add_to(number, in.sign(e)); };
    int64_t bad;
    if (past ? n < in.size() / 256 : sizeof(Count) == 1 || n < in.size() / 16) {
      past ? clear(out, size) : (void)memset(out, 0, size_t(size));
      bad = for_each(in, first, last, out, count);
    } else {
      if (!any) memset(bytes, 0, size_t(in.size()));
      any = true;
      bad = count_in_bytes(in, first, last, bytes, past, out);
    }
    if (bad >= 0) return bad;
  }
  return -1;
}

// Sets the bit of each window in the frame that it belongs to: n_bits windows a frame, the first is the highest bit.
template <class Source>
int64_t mark_bits(const Source& in, const int64_t* begin, const int64_t* end, int64_t n_windows, int64_t n_bits,
                  uint16_t* out) {
  for (int64_t w = 0; w < n_windows; w++) {
    uint16_t* const frame = out + w / n_bits * in.size();
    const uint16_t bit = uint16_t(1 << (n_bits - 1 - w % n_bits));
    const int64_t bad = for_each(in, window_begin(begin, w), window_end(end, w, in.n), frame,
                                 [&](int64_t, uint16_t& number) { number |= bit; });
    if (bad >= 0) return bad;
  }
  return -1;
}

// Where the instants of a voxel grid lie, and how much of an event's weight goes to the earlier and the later of two.
struct Instants {
  const int64_t* t;
  int64_t first, n;
  double span;

  // Of some events: the places of the earlier numbers, and what both get. The greatest of these places, below zero where
  // an event has none. A function of its own, as it is compiled to vectors then.
  template <class Source>
  __attribute__((noinline)) int64_t share(Source in, int64_t begin, int64_t size, int64_t* __restrict voxel,
                                          float* __restrict early, float* __restrict late) const {
    const double last = double(n - 1), latest = double(n > 1 ? n - 2 : 0), length = span;
    const int64_t plane = in.size(), start = first, *const time = t;
    int64_t least = 0, farthest = 0;
    for (int64_t i = 0; i < size; i++) {
      const double place = last * double(int64_t(since(time[begin + i], start))) / length;
      // An event at the very end belongs wholly to the later one of the last two planes; none lies before the first,
      // but where times fall although the stream says that they do not.
      const double bin = std::max(std::min(double(int64_t(place)), latest), 0.0), part = std::min(place - bin, 1.0);
      const int64_t at = in.at(begin + i);
      const float sign = float(in.sign(begin + i));
      early[i] = sign * (1 - float(part));
      late[i] = sign * float(part);
      voxel[i] = int64_t(bin) * plane + at;
      least = std::min(least, at);
      farthest = std::max(farthest, voxel[i]);
    }
    return least < 0 ? least : farthest;
  }
};

// Shares each event among the two planes next to its time (n - 1) (t - first) / span, by nearness. What some events add
// and where is found at once and asked for before the first of them is added. A plane is cleared when the first event
// reaches it, so that it is in the cache where events are sorted.
template <class Source> int64_t voxel_grid(const Source& in, const Instants& instants, float* out) {
  constexpr int64_t block = 128;
  const int64_t plane = in.size(), beside = instants.n > 1 ? plane : 0;
  int64_t voxel[block], cleared = 0;
  float early[block], late[block];
  const auto clear_upto = [&](int64_t planes) {
    if (planes > cleared) memset(out + cleared * plane, 0, size_t((planes - cleared) * plane) * sizeof *out);
    cleared = std::max(cleared, planes);
  };
  for (int64_t begin = 0; begin < in.n; begin += block) {
    const int64_t size = std::min(in.n - begin, block);
    const int64_t farthest = instants.share(in, begin, size, voxel, early, late);
    for (int64_t i = 0; i < size && farthest < 0; i++)
      if (in.at(begin + i) < 0) return begin + i;
    clear_upto(std::min(farthest / plane + 2, instants.n));
    for (int64_t i = 0; i < size; i++) {
      __builtin_prefetch(out + voxel[i], 1);
      __builtin_prefetch(out + voxel[i] + beside, 1);
    }
    for (int64_t i = 0; i < size; i++) {
      out[voxel[i]] += early[i];
      out[voxel[i] + beside] += late[i];
    }
  }
  clear_upto(instants.n);
  return -1;
}

// exp(x) of numbers up to 0, within 2 ulp; 0 below -87.3. As vexp, but without what the other numbers need.
SPIKELOOM_INLINE Vec<float> decayed(Vec<float> x) {
  const Vec<float> low = splat(-87.33654f), in = select<float>(x < low, low, x);
  const Vec<float> shifted = in * 1.44269504f + 12582912.0f, n = shifted - 12582912.0f;  // the nearest whole number
  const Vec<float> r = in - n * 0.693359375f + n * 2.12194440e-4f;
  const Vec<float> y = exp_of_rest(r);
  return select<float>(x < low, splat(0.0f), (Vec<float>)((Mask<float>)y + ((Mask<float>)shifted << 23)));
}

// Keeps the time of the last event of each pixel, from `first` on, and draws exp(-age / tau) at the time `now`, 0 where
// there was none, whose time is below zero.
template <class Time, class Source>
int64_t time_surface(const Source& in, const int64_t* t, int64_t first, int64_t now, double tau, Time* last,
                     float* out) {
  for (int64_t e = 0; e < in.n; e++) {
    const int64_t at = in.at(e);
    if (at < 0) return e;
    last[at] = Time(since(t[e], first));
  }
  using Unsigned = std::make_unsigned_t<Time>;  // wraps where times fall although the stream says that they do not
  typedef Time Times __attribute__((vector_size(lanes<float> * sizeof(Time)), aligned(sizeof(Time)), may_alias));
  typedef Unsigned Ages __attribute__((vector_size(lanes<float> * sizeof(Time))));
  const Unsigned late = Unsigned(since(now, first));
  const float rate = float(std::max(-1 / tau, -1e30));  // finite, so that an age of 0 gives 1
  const auto drawn = [&](Times then) {
    const Vec<float> age = __builtin_convertvector(late - (Ages)then, Vec<float>);
    return select<float>(__builtin_convertvector(then < 0, Mask<float>), splat(0.0f), decayed(age * rate));
  };
  int64_t i = 0;
  for (; i < in.size() && !on_vector(out + i); i++) out[i] = drawn(last[i] - Times{})[0];
  for (; i + lanes<float> <= in.size(); i += lanes<float>) stream(out + i, drawn(*(const Times*)(last + i)));
  for (; i < in.size(); i++) out[i] = drawn(last[i] - Times{})[0];
  streamed();
  return -1;
}

// Histograms of averaged time surfaces: around each event the decayed numbers of the earlier events of its polarity, at
// most `window` us old, of the pixels of its cell, summed up by cell and polarity. A pixel holds the sum of
// exp((t_j - base) / tau), so that neither the decay nor an event that grows too old costs a pass over the sensor.
class Surfaces {
 public:
  Surfaces(const Pixels<separate>& in, const int64_t* t, int64_t cell, int64_t radius, double tau, uint64_t window,
           double* held, double* out, int64_t* counts)
      : in_(in), t_(t), cell_(cell), radius_(radius), tau_(tau), window_(window), held_(held), out_(out),
        counts_(counts), columns_((in.width + cell - 1) / cell), base_(in.n ? t[0] : 0) {}

  int64_t run() {
    for (int64_t e = 0; e < in_.n; e++) {
      if (in_.at(e) < 0) return e;
      if (double(since(t_[e], base_)) > most * tau_) rebase(t_[e]);
      for (; end_ < e && t_[end_] < t_[e]; end_++) held_[in_.at(end_)] += grown(end_);
      for (; old_ < end_ && since(t_[e], t_[old_]) > window_; old_++) held_[in_.at(old_)] -= grown(old_);
      add_around(e);
    }
    return -1;
  }

 private:
  static constexpr double most = 300;     // of the exponent, far from where double ends
  static constexpr double nothing = 120;  // exp(-120) is 0 in float32

  double grown(int64_t e) const {
    return t_[e] < base_ ? std::exp(-double(since(base_, t_[e])) / tau_) : std::exp(double(since(t_[e], base_)) / tau_);
  }
  // Holds the events that count for something at a time anew, from that time on, and nothing else.
  void rebase(int64_t time) {
    for (int64_t e = begin_; e < end_; e++) held_[in_.at(e)] = 0;
    base_ = time;
    for (; old_ < end_ && double(since(time, t_[old_])) > nothing * tau_; old_++) {}
    begin_ = old_;
    for (int64_t e = begin_; e < end_; e++) held_[in_.at(e)] += grown(e);
  }
  void add_around(int64_t e) {
    const int64_t side = 2 * radius_ + 1, x = in_.x[e], y = in_.y[e], plane = in_.p[e] > 0;
    const int64_t left = x - x % cell_, top = y - y % cell_, cell = y / cell_ * columns_ + x / cell_;
    const int64_t x0 = std::max(left, x - radius_), x1 = std::min({left + cell_, x + radius_ + 1, in_.width});
    const int64_t y0 = std::max(top, y - radius_), y1 = std::min({top + cell_, y + radius_ + 1, in_.height});
    const double scale = 1 / grown(e);
    for (int64_t row = y0; row < y1; row++) {
      const double* const from = held_ + (plane * in_.height + row) * in_.width;
      double* const to = out_ + ((cell * 2 + plane) * side + row - y + radius_) * side - x + radius_;
      for (int64_t column = x0; column < x1; column++) to[column] += scale * from[column];
    }
    counts_[cell]++;
  }

  const Pixels<separate> in_;
  const int64_t* const t_;
  const int64_t cell_, radius_;
  const double tau_;
  const uint64_t window_;
  double *const held_, *const out_;
  int64_t* const counts_;
  const int64_t columns_;
  int64_t base_;
  int64_t begin_ = 0, old_ = 0, end_ = 0;  // held: old_ to end_; begin_ to end_: what is not 0
};

// A set of numbers below `size`, visited in order; `words` has room for three levels, each a 64th of the one before.
struct Marks {
  uint64_t* level[3];  // bit i of level 0: number i; bit i of level k + 1: word i of level k
  int64_t n_top;

  Marks(uint64_t* words, int64_t size) {
    for (uint64_t*& part : level) {
      part = words;
      words += n_top = size = (size + 63) / 64;
    }
  }

  bool add(int64_t i) const {
    uint64_t& word = level[0][i / 64];
    const uint64_t bit = uint64_t(1) << (i % 64);
    const bool is_new = !(word & bit);
    word |= bit;
    level[1][i / 4096] |= uint64_t(1) << (i / 64 % 64);
    level[2][i / 262144] |= uint64_t(1) << (i / 4096 % 64);
    return is_new;
  }
  // Calls f with each number and takes it out.
  template <class Function> void drain(Function f) const {
    for (int64_t top = 0; top < n_top; top++)
      for (uint64_t& a = level[2][top]; a; a &= a - 1) {
        const int64_t middle = top * 64 + __builtin_ctzll(a);
        for (uint64_t& b = level[1][middle]; b; b &= b - 1) {
          const int64_t low = middle * 64 + __builtin_ctzll(b);
          for (uint64_t& c = level[0][low]; c; c &= c - 1) f(low * 64 + __builtin_ctzll(c));
        }
      }
  }
};

enum : int64_t { one, sum, refuse };  // what several events of a pixel in a step become: the first, their sum, an error

// The spikes of each step, by pixel: events with edges[s] <= t < edges[s + 1] belong to step s. found[0] is how many
// there are; found[1] is an event that meets another one of its pixel and step where that is refused, else -1.
template <class Source>
int64_t to_grid(const Source& in, const int64_t* t, const int64_t* edges, int64_t n_steps, int64_t collisions,
                const Marks& marks, int32_t* sums, int32_t* ids, int32_t* step, int32_t* values, int64_t* found) {
  int64_t count = 0, e = 0;
  found[1] = -1;
  while (e < in.n && t[e] < edges[0]) e++;
  for (int64_t s = 0; s < n_steps && e < in.n; s++) {
    if (t[e] >= edges[s + 1]) continue;
    for (; e < in.n && t[e] < edges[s + 1]; e++) {
      const int64_t at = in.at(e);
      if (at < 0) return e;
      if (marks.add(at)) {
        if (values) sums[at] = in.sign(e);
      } else if (collisions == refuse) {
        found[1] = e;
        return -1;
      } else if (collisions == sum) {
        sums[at] += in.sign(e);
      }
    }
    marks.drain([&](int64_t at) {
      if (values && !sums[at]) return;
      ids[count] = int32_t(at);
      step[count] = int32_t(s);
      if (values) values[count] = sums[at];
      count++;
    });
  }
  found[0] = count;
  return -1;
}

}  // namespace spikeloom

#define SPIKELOOM_STREAM                                                                                           \
  const int16_t *x, const int16_t *y, const int8_t *p, int64_t n, int64_t width, int64_t height, int64_t polarity

#define SPIKELOOM_FRAMES(SUFFIX, COUNT)                                                                            \
  SPIKELOOM_EXPORT void count_frames_##SUFFIX(SPIKELOOM_STREAM, const int64_t* begin, const int64_t* end,          \
                                              int64_t n_frames, int8_t* bytes, COUNT* out, int64_t* bad) {         \
    *bad = spikeloom::of_pixels(x, y, p, n, width, height, polarity, [&](const auto& in) {                         \
      return spikeloom::count_frames(in, begin, end, n_frames, bytes, out);                                        \
    });                                                                                                            \
  }
SPIKELOOM_FRAMES(u8, uint8_t)
SPIKELOOM_FRAMES(u16, uint16_t)
SPIKELOOM_FRAMES(i16, int16_t)
SPIKELOOM_FRAMES(i32, int32_t)
SPIKELOOM_FRAMES(f32, float)

SPIKELOOM_EXPORT void mark_bits(SPIKELOOM_STREAM, const int64_t* begin, const int64_t* end, int64_t n_windows,
                                int64_t n_bits, uint16_t* out, int64_t* bad) {
  *bad = spikeloom::of_pixels(x, y, p, n, width, height, polarity, [&](const auto& in) {
    return spikeloom::mark_bits(in, begin, end, n_windows, n_bits, out);
  });
}
SPIKELOOM_EXPORT void voxel_grid(SPIKELOOM_STREAM, const int64_t* t, int64_t first, double span, int64_t n_bins,
                                 float* out, int64_t* bad) {
  *bad = spikeloom::of_pixels(x, y, p, n, width, height, polarity, [&](const auto& in) {
    return spikeloom::voxel_grid(in, spikeloom::Instants{t, first, n_bins, span}, out);
  });
}
#define SPIKELOOM_SURFACE(SUFFIX, TIME)                                                                            \
  SPIKELOOM_EXPORT void time_surface_##SUFFIX(SPIKELOOM_STREAM, const int64_t* t, int64_t first, int64_t now,      \
                                              double tau, TIME* last, float* out, int64_t* bad) {                  \
    *bad = spikeloom::of_pixels(x, y, p, n, width, height, polarity, [&](const auto& in) {                         \
      return spikeloom::time_surface(in, t, first, now, tau, last, out);                                           \
    });                                                                                                            \
  }
SPIKELOOM_SURFACE(i32, int32_t)
SPIKELOOM_SURFACE(i64, int64_t)

SPIKELOOM_EXPORT void averaged_time_surfaces(const int16_t* x, const int16_t* y, const int8_t* p, int64_t n,
                                             int64_t width, int64_t height, const int64_t* t, int64_t cell,
                                             int64_t radius, double tau, int64_t window, double* held, double* out,
                                             int64_t* counts, int64_t* bad) {
  const spikeloom::Pixels<spikeloom::separate> in{x, y, p, n, width, height};
  *bad = spikeloom::Surfaces(in, t, cell, radius, tau, uint64_t(window), held, out, counts).run();
}

SPIKELOOM_EXPORT void to_grid(SPIKELOOM_STREAM, const int64_t* t, const int64_t* edges, int64_t n_steps,
                              int64_t collisions, uint64_t* words, int32_t* sums, int32_t* ids, int32_t* step,
                              int32_t* values, int64_t* found, int64_t* bad) {
  *bad = spikeloom::of_pixels(x, y, p, n, width, height, polarity, [&](const auto& in) {
    const spikeloom::Marks marks(words, in.size());
    return spikeloom::to_grid(in, t, edges, n_steps, collisions, marks, sums, ids, step, values, found);
  });
}
