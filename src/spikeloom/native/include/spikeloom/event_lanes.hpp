// Streams of events, and the writing of those that are kept: their four arrays moved together, in blocks, past the
// caches where these would not hold them.
#pragma once

#include "simd.hpp"

namespace spikeloom {

struct Stream {
  const int64_t* t;
  const int16_t *x, *y;
  const int8_t* p;
  int64_t n, width, height;
};

struct Kept {
  int64_t* t;
  int16_t *x, *y;
  int8_t* p;
};

constexpr int64_t stream_block = 1024;
constexpr int64_t ahead = 256;  // how many events before they are moved their times are asked for

// Numbers on their way to an array, in order: straight, or by way of a block from which whole lines pass the caches.
// The next ones are stored from `next` on, as many as a block of events has at most; then `next` is moved behind those
// that count, and `flush` sends whole lines on.
template <class Number> class Lane {
 public:
  Lane(Number* to, bool past) : to_(to), past_(past && on_vector(to)) { next = past_ ? held_ : to; }
  Number* next;

  void flush() {
    if (!past_) return;
    const Number* from = held_;
    for (; next - from >= line; from += line, to_ += line) stream(to_, *(const Line*)from);
    const int64_t rest = next - from;
    memmove(held_, from, size_t(rest) * sizeof *from);
    next = held_ + rest;
  }
  void finish() {
    flush();
    if (past_) memcpy(to_, held_, size_t(next - held_) * sizeof *to_);
  }

 private:
  typedef Number Line __attribute__((vector_size(vector_bytes)));
  static constexpr int64_t line = vector_bytes / int64_t(sizeof(Number));

  Number* to_;
  const bool past_;
  alignas(vector_bytes) Number held_[stream_block + line];
};

// Whether the arrays of so many events are more than the caches should hold.
SPIKELOOM_INLINE bool beyond_caches(int64_t n) { return n > (1 << 20); }

// Writes n numbers, block by block: `write` gets where a block begins, its size, and where its numbers go, which nothing
// that it reads shares.
template <class Number, class Write> SPIKELOOM_INLINE void write_blocks(Number* to, int64_t n, Write write) {
  Lane<Number> lane(to, beyond_caches(n));
  for (int64_t begin = 0; begin < n; begin += stream_block) {
    const int64_t size = begin + stream_block < n ? stream_block : n - begin;
    write(begin, size, lane.next);
    lane.next += size;
    lane.flush();
  }
  lane.finish();
  streamed();
}

// Copies n numbers, past the caches if asked to.
template <class Number> SPIKELOOM_INLINE void copy(Number* to, const Number* from, int64_t n, bool past) {
  typedef Number Line __attribute__((vector_size(vector_bytes)));
  typedef Number Loose __attribute__((vector_size(vector_bytes), aligned(sizeof(Number)), may_alias));
  constexpr int64_t line = vector_bytes / int64_t(sizeof(Number));
  int64_t i = 0;
  for (; past && i < n && !on_vector(to + i); i++) to[i] = from[i];
  for (; past && i + line <= n; i += line) {
    __builtin_prefetch(from + i + 16 * line);
    stream(to + i, (Line) * (const Loose*)(from + i));
  }
  memcpy(to + i, from + i, size_t(n - i) * sizeof *to);
}

// Writes f(i) for each i below n.
template <class Number, class Function> SPIKELOOM_INLINE void write_each(Number* to, int64_t n, Function f) {
  write_blocks(to, n, [=](int64_t begin, int64_t size, Number* __restrict next) {
    for (int64_t i = 0; i < size; i++) next[i] = f(begin + i);
  });
}

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
template <class Number, int count> struct Row {
  typedef Number Vec __attribute__((vector_size(count * sizeof(Number))));
  typedef Number Loose __attribute__((vector_size(count * sizeof(Number)), aligned(sizeof(Number)), may_alias));
  static Vec load(const void* p) { return *(const Loose*)p; }
  static void store(void* p, Vec v) { *(Loose*)p = v; }
};
using Eight = Row<long long, 8>;
using Words = Row<int, 16>;
using Shorts = Row<short, 16>;
using Bytes = Row<char, 16>;

// Numbers of 16 events as words and back: GCC's own conversion takes them one by one.
#if defined(__clang__)
SPIKELOOM_INLINE Words::Vec wide(Shorts::Vec v) { return __builtin_convertvector(v, Words::Vec); }
SPIKELOOM_INLINE Words::Vec wide(Bytes::Vec v) { return __builtin_convertvector(v, Words::Vec); }
SPIKELOOM_INLINE Shorts::Vec shorts(Words::Vec v) { return __builtin_convertvector(v, Shorts::Vec); }
SPIKELOOM_INLINE Bytes::Vec bytes(Words::Vec v) { return __builtin_convertvector(v, Bytes::Vec); }
#else
SPIKELOOM_INLINE Words::Vec wide(Shorts::Vec v) { return __builtin_ia32_pmovsxwd512_mask(v, Words::Vec{}, 0xffff); }
SPIKELOOM_INLINE Words::Vec wide(Bytes::Vec v) { return __builtin_ia32_pmovsxbd512_mask(v, Words::Vec{}, 0xffff); }
SPIKELOOM_INLINE Shorts::Vec shorts(Words::Vec v) { return __builtin_ia32_pmovdw512_mask(v, Shorts::Vec{}, 0xffff); }
SPIKELOOM_INLINE Bytes::Vec bytes(Words::Vec v) { return __builtin_ia32_pmovdb512_mask(v, Bytes::Vec{}, 0xffff); }
#endif
#endif

// Writes the events that are kept. There is room for as many as are read.
class Writer {
 public:
  Writer(const Kept& out, int64_t n)
      : t_(out.t, beyond_caches(n)), x_(out.x, beyond_caches(n)), y_(out.y, beyond_caches(n)),
        p_(out.p, beyond_caches(n)) {}

  // Those of a block, of at most stream_block, whose `keep` is 1.
  void move(const Stream& in, int64_t size, const uint8_t* keep) {
    int32_t count = 0;
    for (int32_t i = 0; i < int32_t(size); i++) count += keep[i];
    if (count == 0) return;
    if (count == size)
      move_all(in, size);
    else
      move_rows(in, size, keep);
    flush(count);
  }
  // So many that `make` writes to where t, x, y and p go; at most stream_block.
  template <class Make> void write(int64_t n, Make make) {
    make(n, t_.next, x_.next, y_.next, p_.next);
    t_.next += n, x_.next += n, y_.next += n, p_.next += n;
    flush(n);
  }
  // To be called at the end; how many there are.
  int64_t finish() {
    t_.finish(), x_.finish(), y_.finish(), p_.finish();
    streamed();
    return kept_;
  }

 private:
  void flush(int64_t count) {
    kept_ += count;
    t_.flush(), x_.flush(), y_.flush(), p_.flush();
  }
  template <class Number> static void append(Lane<Number>& lane, const Number* from, int64_t n) {
    constexpr int64_t line = 64 / int64_t(sizeof(Number));
    for (int64_t i = 0; i < n; i += line) __builtin_prefetch(from + i + ahead);
    memcpy(lane.next, from, size_t(n) * sizeof *from);
    lane.next += n;
  }
  void move_all(const Stream& in, int64_t size) {
    append(t_, in.t, size);
    append(x_, in.x, size);
    append(y_, in.y, size);
    append(p_, in.p, size);
  }
  void move_each(const Stream& in, int64_t begin, int64_t end, const uint8_t* keep) {
    uint16_t chosen[stream_block];
    int64_t count = 0;
    for (int64_t i = begin; i < end; i++) {
      chosen[count] = uint16_t(i);
      count += keep[i];
    }
    for (int64_t k = 0; k < count; k++) t_.next[k] = in.t[chosen[k]];
    for (int64_t k = 0; k < count; k++) x_.next[k] = in.x[chosen[k]];
    for (int64_t k = 0; k < count; k++) y_.next[k] = in.y[chosen[k]];
    for (int64_t k = 0; k < count; k++) p_.next[k] = in.p[chosen[k]];
    t_.next += count, x_.next += count, y_.next += count, p_.next += count;
  }
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
  // 16 events at once. A store reaches no farther than the events that have been read.
  void move_rows(const Stream& in, int64_t size, const uint8_t* keep) {
    int64_t i = 0;
    int64_t* t = t_.next;
    int16_t *x = x_.next, *y = y_.next;
    int8_t* p = p_.next;
    for (; i + 16 <= size; i += 16) {
      __builtin_prefetch(in.t + i + ahead);
      __builtin_prefetch(in.t + i + ahead + 8);
      const uint32_t mask = uint32_t(__builtin_ia32_pmovmskb128(Bytes::load(keep + i) != 0)), low = mask & 0xff;
      const int64_t n = __builtin_popcount(mask);
      const Eight::Vec first = Eight::load(in.t + i), second = Eight::load(in.t + i + 8);
      Eight::store(t, __builtin_ia32_compressdi512_mask(first, first, uint8_t(low)));
      Eight::store(t + __builtin_popcount(low), __builtin_ia32_compressdi512_mask(second, second, uint8_t(mask >> 8)));
      const Words::Vec both = (wide(Shorts::load(in.x + i)) & 0xffff) | wide(Shorts::load(in.y + i)) << 16;
      const Words::Vec pixel = __builtin_ia32_compresssi512_mask(both, both, uint16_t(mask));
      Shorts::store(x, shorts(pixel));
      Shorts::store(y, shorts(pixel >> 16));
      const Words::Vec sign = wide(Bytes::load(in.p + i));
      Bytes::store(p, bytes(__builtin_ia32_compresssi512_mask(sign, sign, uint16_t(mask))));
      t += n, x += n, y += n, p += n;
    }
    t_.next = t, x_.next = x, y_.next = y, p_.next = p;
    move_each(in, i, size, keep);
  }
#else
  void move_rows(const Stream& in, int64_t size, const uint8_t* keep) { move_each(in, 0, size, keep); }
#endif

  Lane<int64_t> t_;
  Lane<int16_t> x_, y_;
  Lane<int8_t> p_;
  int64_t kept_ = 0;
};

}  // namespace spikeloom
