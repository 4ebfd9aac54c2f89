// Normally distributed delays of a sorted stream, whose events come out in order: in pieces that stay in the cache, as
// no event goes farther than the distribution reaches.
#pragma once

#include <algorithm>

#include "event_lanes.hpp"
#include "random.hpp"

namespace spikeloom {

// What events on their way are held in. An event is a word: 32 bits of time, 15 each of x and y, and the polarity.
struct JitterRoom {
  uint64_t *waiting, *sorted;  // `size` of each
  uint32_t* place;             // 2 * size + 2
  int64_t size, chunk;         // `chunk` events are drawn at once
};

class TimeJitter {
 public:
  // A shift is `cell` times one of the table plus a place in the cell, an odd number of us, drawn uniformly.
  // clip: events that come before time 0 come at 0.
  TimeJitter(const Stream& in, uint64_t key, const Shifts& shifts, int64_t cell, bool clip, const JitterRoom& room,
             const Kept& out)
      : in_(in), key_(key), shifts_(shifts), cell_(cell), clip_(clip),
        reach_((shifts.size / 2) * cell + cell / 2), room_(room), out_(out, in.n) {}

  // How many events were written, all; or -1 where some cannot be held in the room or in words.
  int64_t run() {
    for (int64_t begin = 0; begin < in_.n; begin += room_.chunk) {
      const int64_t end = std::min(begin + room_.chunk, in_.n);
      const int64_t base = before(in_.t[begin], reach_);  // before all events that wait or come
      if (n_ + end - begin > room_.size || !rebase(base) || !draw(begin, end)) return -1;
      sort();
      const bool last = end == in_.n;
      const uint64_t horizon = last ? ~uint64_t(0) : uint64_t(before(in_.t[end], reach_)) - uint64_t(base);
      int64_t ready = 0;  // events that no later one can precede
      if (horizon > most)
        ready = n_;
      else
        ready = std::lower_bound(room_.sorted, room_.sorted + n_, horizon,
                                 [](uint64_t word, uint64_t t) { return uint32_t(word) < t; }) - room_.sorted;
      write(ready);
    }
    return out_.finish();
  }

 private:
  static constexpr uint64_t most = ~uint32_t(0);
  static constexpr uint32_t crowd = 64;

  // A time less another; wrapped where times are not in order although the stream says that they are.
  static int64_t before(int64_t t, int64_t by) { return int64_t(uint64_t(t) - uint64_t(by)); }

  // Has the events that wait count from another time on.
  bool rebase(int64_t base) {
    const uint64_t later = uint64_t(base) - uint64_t(base_);
    if (n_ && later > most) return false;  // cannot be: an event that waits is not before the base
    for (int64_t i = 0; i < n_; i++) room_.waiting[i] -= later;
    base_ = base;
    return true;
  }

  // Draws the times of some events, which wait then.
  bool draw(int64_t begin, int64_t end) {
    const uint64_t span = uint64_t(in_.t[end - 1]) - uint64_t(in_.t[begin]) + 2 * uint64_t(reach_);
    if (span > most) return false;
    int32_t odd = 0;
    uint64_t* const to = room_.waiting + n_ - begin;
    const int64_t base = base_;
    for (int64_t i = begin; i < end; i++) {
      const uint32_t x = uint16_t(in_.x[i]), y = uint16_t(in_.y[i]), p = uint8_t(in_.p[i]);
      odd |= int32_t((x | y) >> 15 | p >> 1);
      to[i] = uint64_t(before(in_.t[i], base)) | uint64_t(x | y << 15 | p << 30) << 32;
    }
    if (odd) return false;
    shifts_.add(key_, begin, end, cell_, to);
    n_ += end - begin;
    return !clip_ || base >= 0 || clip(to + begin, end - begin, before(0, base));
  }
  // Has words come at `zero` or later; whether they can.
  static bool clip(uint64_t* words, int64_t n, int64_t zero) {
    if (uint64_t(zero) > most) return false;
    for (int64_t i = 0; i < n; i++) words[i] += uint64_t(std::max<int64_t>(zero - int64_t(uint32_t(words[i])), 0));
    return true;
  }

  // Sorts what waits by buckets of times, then within each; events of one time keep their order.
  void sort() {
    const uint64_t* const from = room_.waiting;
    uint32_t latest = 0;
    for (int64_t i = 0; i < n_; i++) latest = std::max(latest, uint32_t(from[i]));
    int shift = 0;
    while (int64_t(latest >> shift) >= 2 * n_) shift++;
    const int64_t buckets = int64_t(latest >> shift) + 1;
    uint32_t* const place = room_.place;
    memset(place, 0, size_t(buckets + 1) * sizeof *place);
    for (int64_t i = 0; i < n_; i++) place[(uint32_t(from[i]) >> shift) + 1]++;
    uint32_t fullest = 0;
    for (int64_t b = 0; b < buckets; b++) {
      fullest = std::max(fullest, place[b + 1]);
      place[b + 1] += place[b];
    }
    for (int64_t i = 0; i < n_; i++) room_.sorted[place[uint32_t(from[i]) >> shift]++] = from[i];
    if (shift) sort_buckets(fullest);
  }
  void sort_buckets(uint32_t fullest) {
    uint64_t* const words = room_.sorted;
    const auto earlier = [](uint64_t a, uint64_t b) { return uint32_t(a) < uint32_t(b); };
    if (fullest > crowd) return std::stable_sort(words, words + n_, earlier);
    for (int64_t i = 1; i < n_; i++) {
      const uint64_t word = words[i];
      int64_t to = i;
      for (; to > 0 && earlier(word, words[to - 1]); to--) words[to] = words[to - 1];
      words[to] = word;
    }
  }

  // Writes the first of what is sorted; the others wait.
  void write(int64_t ready) {
    const int64_t base = base_;
    for (int64_t begin = 0; begin < ready; begin += stream_block) {
      const uint64_t* const words = room_.sorted + begin;
      out_.write(std::min(ready - begin, stream_block), [=](int64_t n, int64_t* __restrict t, int16_t* __restrict x,
                                                            int16_t* __restrict y, int8_t* __restrict p) {
        for (int64_t i = 0; i < n; i++) t[i] = int64_t(uint64_t(base) + uint32_t(words[i]));
        for (int64_t i = 0; i < n; i++) x[i] = int16_t(words[i] >> 32 & 0x7fff);
        for (int64_t i = 0; i < n; i++) y[i] = int16_t(words[i] >> 47 & 0x7fff);
        for (int64_t i = 0; i < n; i++) p[i] = int8_t(words[i] >> 62);
      });
    }
    n_ -= ready;
    memcpy(room_.waiting, room_.sorted + ready, size_t(n_) * sizeof *room_.waiting);
  }

  const Stream in_;
  const uint64_t key_;
  const Shifts shifts_;
  const int64_t cell_;
  const bool clip_;
  const int64_t reach_;
  const JitterRoom room_;
  Writer out_;
  int64_t n_ = 0, base_ = 0;
};

}  // namespace spikeloom
