// Decoders and encoders of event files. Decoders add events to arrays with room for all that the bytes can hold and 64
// entries more; `n` is how many events there are. They read nothing beyond the words they are given, whatever these are.
#pragma once

#include "simd.hpp"

namespace spikeloom {

constexpr int64_t block = 16;  // words that are decoded at once, also those behind the last event of a run

template <class Word> SPIKELOOM_INLINE Word word_at(const uint8_t* data, int64_t i) {
  Word w;
  memcpy(&w, data + i * int64_t(sizeof(Word)), sizeof(Word));
  return w;
}

struct Columns {
  int64_t* t;
  int16_t *x, *y;
  int8_t* p;
  int64_t n;
};

// A count of `bits` bits that wraps: one that falls by half of its range or more has begun anew.
struct Clock {
  int64_t epoch, last;  // how often it has wrapped, and the last count, -1 before the first
  inline __attribute__((always_inline)) int64_t to(int64_t count, int bits) {
    epoch += last >= 0 && last - count >= int64_t(1) << (bits - 1);
    last = count;
    return (epoch << bits) | count;
  }
};

SPIKELOOM_INLINE void event_facts(const int64_t* t, const int16_t* x, const int16_t* y, int64_t n, int64_t width,
                                  int64_t height, int64_t* facts) {
  int64_t falls = 0;
  uint16_t most_x = 0, most_y = 0;  // addresses below zero are large ones
  for (int64_t i = 1; i < n; i++) falls |= t[i] < t[i - 1];
  for (int64_t i = 0; i < n; i++) {
    most_x = uint16_t(x[i]) > most_x ? uint16_t(x[i]) : most_x;
    most_y = uint16_t(y[i]) > most_y ? uint16_t(y[i]) : most_y;
  }
  int64_t low = t[0], high = t[n - 1];
  if (falls)
    for (int64_t i = 0; i < n; i++) low = t[i] < low ? t[i] : low, high = t[i] > high ? t[i] : high;
  facts[0] = -1, facts[1] = !falls, facts[2] = low, facts[3] = high, facts[4] = most_x, facts[5] = most_y;
  if (most_x < width && most_y < height) return;
  int64_t i = 0;
  while (uint16_t(x[i]) < width && uint16_t(y[i]) < height) i++;
  facts[0] = i;
}

SPIKELOOM_INLINE void evt2_decode(const uint8_t* data, int64_t n_words, int64_t* state, Columns& out) {
  Clock clock{state[0], state[1]};
  int64_t base = clock.last >= 0 ? ((clock.epoch << 28) | clock.last) << 6 : -1;
  int64_t i = 0;
  while (i < n_words) {
    if (base >= 0)
      for (; i + block <= n_words;) {
        uint32_t w[block], any = 0;
        for (int k = 0; k < block; k++) w[k] = word_at<uint32_t>(data, i + k), any |= w[k];
        for (int k = 0; k < block; k++) {
          out.t[out.n + k] = base | (w[k] >> 22 & 0x3f);
          out.x[out.n + k] = int16_t(w[k] >> 11 & 0x7ff);
          out.y[out.n + k] = int16_t(w[k] & 0x7ff);
          out.p[out.n + k] = int8_t(w[k] >> 28 & 1);
        }
        int64_t events = block;
        if (any >> 29)
          for (events = 0; !(w[events] >> 29);) events++;
        out.n += events;
        i += events;
        if (events < block) break;
      }
    if (i >= n_words) break;
    const uint32_t w = word_at<uint32_t>(data, i++), kind = w >> 28;
    if (kind == 8) {
      base = clock.to(w & 0xfffffff, 28) << 6;
    } else if (kind > 1) {
      state[kind == 10 ? 3 : 4]++;
    } else if (base < 0) {
      state[2]++;
    } else {
      out.t[out.n] = base | (w >> 22 & 0x3f);
      out.x[out.n] = int16_t(w >> 11 & 0x7ff);
      out.y[out.n] = int16_t(w & 0x7ff);
      out.p[out.n++] = int8_t(kind);
    }
  }
  state[0] = clock.epoch, state[1] = clock.last;
}

SPIKELOOM_INLINE int64_t evt2_encode(const Columns& in, int64_t before, uint32_t* words) {
  constexpr int64_t farthest = int64_t(1) << 27;
  uint32_t* w = words;
  for (int64_t i = 0; i < in.n; i++) {
    const int64_t high = in.t[i] >> 6;
    for (; before < high; *w++ = uint32_t(8) << 28 | uint32_t(before & 0xfffffff))
      before = high - before > farthest ? before + farthest : high;
    *w++ = uint32_t(in.p[i]) << 28 | uint32_t(in.t[i] & 0x3f) << 22 | uint32_t(in.x[i]) << 11 | uint32_t(in.y[i]);
  }
  return w - words;
}

// EVT 2.1. state: epoch and last TIME_HIGH, whether the halves of words are swapped, then counts.
SPIKELOOM_INLINE int64_t evt21_count(const uint8_t* data, int64_t n_words, int64_t swapped) {
  int64_t most = 0;
  for (int64_t i = 0; i < n_words; i++) {
    const uint64_t w = word_at<uint64_t>(data, i), turned = swapped ? w << 32 | w >> 32 : w;
    most += turned >> 61 ? 0 : __builtin_popcountll(turned & 0xffffffff);
  }
  return most;
}

SPIKELOOM_INLINE void evt21_decode(const uint8_t* data, int64_t n_words, int64_t* state, Columns& out) {
  Clock clock{state[0], state[1]};
  const bool swapped = state[2];
  int64_t base = clock.last >= 0 ? ((clock.epoch << 28) | clock.last) << 6 : -1, n = out.n;
  for (int64_t i = 0; i < n_words; i++) {
    uint64_t w = word_at<uint64_t>(data, i);
    if (swapped) w = w << 32 | w >> 32;
    const int64_t kind = int64_t(w >> 60);
    if (kind == 8) {
      base = clock.to(int64_t(w >> 32 & 0xfffffff), 28) << 6;
    } else if (kind > 1) {
      state[kind == 10 ? 4 : 5]++;
    } else if (base < 0) {
      state[3] += __builtin_popcountll(w & 0xffffffff);
    } else {
      const int64_t t = base | int64_t(w >> 54 & 0x3f);
      const int16_t x = int16_t(w >> 43 & 0x7ff), y = int16_t(w >> 32 & 0x7ff);
      for (uint32_t valid = uint32_t(w); valid; valid &= valid - 1, n++) {
        out.t[n] = t;
        out.x[n] = int16_t(x + __builtin_ctz(valid));
        out.y[n] = y;
        out.p[n] = int8_t(kind);
      }
    }
  }
  state[0] = clock.epoch, state[1] = clock.last, out.n = n;
}

// Events of one time, row and polarity with rising columns of one group of 32 share a word.
SPIKELOOM_INLINE int64_t evt21_encode(const Columns& in, int64_t before, uint64_t* words) {
  constexpr int64_t farthest = int64_t(1) << 27;
  uint64_t* w = words;
  for (int64_t i = 0; i < in.n;) {
    const int64_t t = in.t[i], high = t >> 6;
    for (; before < high; *w++ = uint64_t(8) << 60 | uint64_t(before & 0xfffffff) << 32)
      before = high - before > farthest ? before + farthest : high;
    const int16_t group = int16_t(in.x[i] & ~31), y = in.y[i];
    const int8_t p = in.p[i];
    uint64_t word = uint64_t(p) << 60 | uint64_t(t & 0x3f) << 54 | uint64_t(group) << 43 | uint64_t(y) << 32;
    do word |= uint64_t(1) << (in.x[i] & 31), i++;
    while (i < in.n && in.t[i] == t && in.y[i] == y && in.p[i] == p && (in.x[i] & ~31) == group &&
           in.x[i] > in.x[i - 1]);
    *w++ = word;
  }
  return w - words;
}

// EVT 3.0. state: epoch and last TIME_HIGH, the low 12 bits of the time, row, column of the next vector (-1: none yet)
// and its polarity, then counts.
SPIKELOOM_INLINE int64_t evt3_count(const uint8_t* data, int64_t n_words) {
  int64_t most = 0;
  for (int64_t begin = 0; begin < n_words; begin += 4096) {
    const int64_t end = begin + 4096 < n_words ? begin + 4096 : n_words;
    uint16_t sum = 0;  // at most 12 of each word
    for (int64_t i = begin; i < end; i++) {
      const uint16_t w = word_at<uint16_t>(data, i), kind = w >> 12;
      uint16_t bits = uint16_t(w & (kind == 4 ? 0xfff : kind == 5 ? 0xff : 0));
      bits = uint16_t(bits - (bits >> 1 & 0x555));
      bits = uint16_t((bits & 0x333) + (bits >> 2 & 0x333));
      bits = uint16_t((bits + (bits >> 4)) & 0xf0f);
      sum = uint16_t(sum + (kind == 2) + (bits & 0xff) + (bits >> 8));
    }
    most += sum;
  }
  return most;
}

constexpr int64_t beyond = 4096;  // a column beyond all; vectors that go on and on stay there

// Rows, low bits of the time and events on their own, up to the first other word, whose place comes back. There are no
// branches, as which of the three comes next is hard to predict.
SPIKELOOM_INLINE int64_t evt3_singles(const uint8_t* data, int64_t i, int64_t n_words, int64_t high, int64_t& low,
                                      int64_t& row, int64_t* t, int16_t* x, int16_t* y, int8_t* p, int64_t& n_events) {
  uint32_t here = uint32_t(row), time = uint32_t(low);
  int64_t n = n_events;
  for (; i < n_words; i++) {
    const uint32_t w = word_at<uint16_t>(data, i), kind = w >> 12;
    if (!(1u << kind & (1u << 0 | 1u << 2 | 1u << 6))) break;
    here ^= (here ^ (w & 0x7ff)) & -uint32_t(kind == 0);
    time ^= (time ^ (w & 0xfff)) & -uint32_t(kind == 6);
    t[n] = high | time, x[n] = w & 0x7ff, y[n] = int16_t(here), p[n] = w >> 11 & 1;
    n += kind == 2;
  }
  row = here, low = time, n_events = n;
  return i;
}

SPIKELOOM_INLINE void evt3_decode(const uint8_t* data, int64_t n_words, int64_t* state, Columns& out) {
  Clock clock{state[0], state[1]};
  int64_t low = state[2], y = state[3], x = state[4], p = state[5], lost = state[6], n = out.n;
  int64_t high = clock.last >= 0 ? ((clock.epoch << 12) | clock.last) << 12 : -1;
  for (int64_t i = 0; i < n_words; i++) {
    if ((high | y) >= 0) i = evt3_singles(data, i, n_words, high, low, y, out.t, out.x, out.y, out.p, n);
    if (i == n_words) break;
    const uint16_t w = word_at<uint16_t>(data, i);
    switch (w >> 12) {
      case 0x0: y = w & 0x7ff; break;
      case 0x2: lost++; break;  // a known time and row were above
      case 0x3: x = w & 0x7ff, p = w >> 11 & 1; break;
      case 0x4:
      case 0x5: {
        uint32_t valid = w & (w >> 12 == 4 ? 0xfff : 0xff);
        if ((high | y | x) < 0) {
          lost += __builtin_popcount(valid);
          valid = 0;
        }
        for (; valid; valid &= valid - 1, n++)
          out.t[n] = high | low, out.x[n] = int16_t(x + __builtin_ctz(valid)), out.y[n] = int16_t(y),
          out.p[n] = int8_t(p);
        if (x >= 0) x += w >> 12 == 4 ? 12 : 8;
        if (x > beyond) x = beyond;
        break;
      }
      case 0x6: low = w & 0xfff; break;
      case 0x8: {
        const int64_t next = clock.to(w & 0xfff, 12) << 12;
        if (next != high) low = 0;
        high = next;
        break;
      }
      case 0xa: state[7]++; break;
      default: state[8]++;
    }
  }
  state[0] = clock.epoch, state[1] = clock.last, state[2] = low, state[3] = y, state[4] = x, state[5] = p;
  state[6] = lost, out.n = n;
}

// How many events from i on are of one time, row and polarity, with rising columns below `end`; their bits from base.
SPIKELOOM_INLINE int64_t evt3_run(const Columns& in, int64_t i, int64_t base, uint32_t* valid) {
  const int64_t first = i;
  *valid = 0;
  for (; i < in.n && in.x[i] >= base && in.x[i] < base + 12 && in.t[i] == in.t[first] && in.y[i] == in.y[first] &&
         in.p[i] == in.p[first] && (i == first || in.x[i] > in.x[i - 1]);
       i++)
    *valid |= uint32_t(1) << (in.x[i] - base);
  return i - first;
}

// state: the last TIME_HIGH, time and row that were written, -1: none.
SPIKELOOM_INLINE int64_t evt3_encode(const Columns& in, int64_t* state, uint16_t* words) {
  int64_t high = state[0], time = state[1], y = state[2];
  uint16_t* w = words;
  for (int64_t i = 0; i < in.n;) {
    const int64_t t = in.t[i];
    if (t != time) {
      while (high < t >> 12) *w++ = uint16_t(0x8000 | (++high & 0xfff));
      *w++ = uint16_t(0x6000 | (t & 0xfff));
      time = t;
    }
    if (in.y[i] != y) *w++ = uint16_t(y = in.y[i]);
    uint32_t valid;
    const int p = in.p[i] << 11;
    int64_t base = in.x[i], run = evt3_run(in, i, base, &valid);
    if (run < 3) {
      *w++ = uint16_t(0x2000 | p | in.x[i++]);
      continue;
    }
    *w++ = uint16_t(0x3000 | p | base);
    do {
      *w++ = uint16_t(0x4000 | valid);
      i += run, base += 12;
      run = i < in.n && in.t[i] == t && in.y[i] == y && in.p[i] << 11 == p ? evt3_run(in, i, base, &valid) : 0;
    } while (run);
  }
  state[0] = high, state[1] = time, state[2] = y;
  return w - words;
}

// DAT, version 2 or 1. state: epoch and last time, then the bits of x, of y, and the place of the polarity.
template <bool old>
SPIKELOOM_INLINE void dat_events(const uint8_t* data, int64_t begin, int64_t n, int64_t base, Columns& out) {
  for (int64_t k = 0; k < n; k++) {
    const uint64_t w = word_at<uint64_t>(data, begin + k);
    const uint32_t a = uint32_t(w >> 32);
    out.t[out.n + k] = base | int64_t(w & 0xffffffff);
    out.x[out.n + k] = int16_t(old ? a & 0x1ff : a & 0x3fff);
    out.y[out.n + k] = int16_t(old ? a >> 9 & 0xff : a >> 14 & 0x3fff);
    out.p[out.n + k] = int8_t(old ? a >> 17 & 1 : a >> 28 & 1);
  }
  out.n += n;
}

SPIKELOOM_INLINE void dat_decode(const uint8_t* data, int64_t n_words, int64_t* state, Columns& out) {
  Clock clock{state[0], state[1]};
  for (int64_t i = 0; i < n_words;) {
    const auto begins_anew = [&](int64_t k) {
      const uint32_t t = word_at<uint32_t>(data, 2 * k), before = word_at<uint32_t>(data, 2 * k - 2);
      return before > t && before - t >= 0x80000000u;
    };
    int64_t n = n_words - i < 512 ? n_words - i : 512, wraps = 0;
    for (int64_t k = i + 1; k < i + n; k++) wraps |= begins_anew(k);
    if (wraps)
      for (n = 1; !begins_anew(i + n); n++);
    const int64_t first = word_at<uint32_t>(data, 2 * i);
    const int64_t base = clock.to(first, 32) & ~int64_t(0xffffffff);
    if (state[2]) dat_events<true>(data, i, n, base, out);
    else dat_events<false>(data, i, n, base, out);
    i += n;
    clock.last = word_at<uint32_t>(data, 2 * (i - 1));
  }
  state[0] = clock.epoch, state[1] = clock.last;
}

SPIKELOOM_INLINE int64_t dat_encode(const Columns& in, int64_t, uint64_t* words) {
  for (int64_t i = 0; i < in.n; i++)
    words[i] = uint64_t(in.p[i]) << 60 | uint64_t(in.y[i]) << 46 | uint64_t(in.x[i]) << 32 |
               uint64_t(in.t[i] & 0xffffffff);
  return in.n;
}

// Event Stream, whose rows are counted from the bottom. state: the time, how many low bits of a first byte are no time
// (1: DVS, 2: ATIS), the sensor's height, threshold crossings.
template <int flags>
SPIKELOOM_INLINE int64_t es_events(const uint8_t* data, int64_t size, int64_t* state, Columns& out) {
  constexpr int longest = (1 << (8 - flags)) - 1;
  const int bottom = int(state[2]) - 1;
  int64_t t = state[0], n = out.n, i = 0;
  while (i < size) {
    const uint8_t b = data[i];
    const int delta = b >> flags;
    if (delta == longest) {
      t += int64_t(longest) * (b & ((1 << flags) - 1));  // 0: a reset, which says nothing
      i++;
      continue;
    }
    if (i + 5 > size) break;
    t += delta;
    out.t[n] = t, out.p[n] = int8_t(b >> (flags - 1) & 1);
    const int x = int16_t(data[i + 1] | data[i + 2] << 8), y = bottom - (data[i + 3] | data[i + 4] << 8);
    out.x[n] = int16_t(x < 0 ? -1 : x), out.y[n] = int16_t(y < 0 ? -1 : y);
    i += 5;
    if (flags == 2 && b & 1) state[3]++;
    else n++;
  }
  state[0] = t, out.n = n;
  return i;
}

SPIKELOOM_INLINE int64_t es_encode(const Columns& in, int64_t before, int64_t height, uint8_t* bytes) {
  uint8_t* b = bytes;
  for (int64_t i = 0; i < in.n; i++) {
    for (; in.t[i] - before >= 127; before += 127) *b++ = 0xff;
    const uint16_t x = uint16_t(in.x[i]), y = uint16_t(height - 1 - in.y[i]);
    const uint8_t record[5] = {uint8_t((in.t[i] - before) << 1 | in.p[i]), uint8_t(x), uint8_t(x >> 8), uint8_t(y),
                               uint8_t(y >> 8)};
    memcpy(b, record, 5);
    b += 5;
    before = in.t[i];
  }
  return b - bytes;
}

// Bytes packed with LZF, at most `most` of them; their number, or -1 for what is none or more.
SPIKELOOM_INLINE int64_t lzf_decode(const uint8_t* data, int64_t n, uint8_t* out, int64_t most) {
  int64_t i = 0, end = 0;
  while (i < n) {
    const int64_t control = data[i++];
    if (control < 32) {
      const int64_t length = control + 1;
      if (length > n - i || length > most - end) return -1;
      memcpy(out + end, data + i, size_t(length));
      i += length, end += length;
      continue;
    }
    int64_t length = (control >> 5) + 2;
    if (n - i < (length == 9 ? 2 : 1)) return -1;
    if (length == 9) length += data[i++];
    const int64_t back = ((control & 31) << 8 | data[i++]) + 1;
    if (back > end || length > most - end) return -1;
    for (int64_t k = 0; k < length; k++, end++) out[end] = out[end - back];
  }
  return end;
}

}  // namespace spikeloom

SPIKELOOM_EXPORT void event_facts(const int64_t* t, const int16_t* x, const int16_t* y, int64_t n, int64_t width,
                                  int64_t height, int64_t* facts) {
  spikeloom::event_facts(t, x, y, n, width, height, facts);
}

#define SPIKELOOM_DECODER(NAME)                                                                                    \
  SPIKELOOM_EXPORT void NAME##_decode(const uint8_t* data, int64_t n_words, int64_t* state, int64_t* t, int16_t* x,  \
                                      int16_t* y, int8_t* p, int64_t* n) {                                         \
    spikeloom::Columns out{t, x, y, p, *n};                                                                        \
    spikeloom::NAME##_decode(data, n_words, state, out);                                                           \
    *n = out.n;                                                                                                    \
  }
#define SPIKELOOM_ENCODER(NAME, WORD)                                                                              \
  SPIKELOOM_EXPORT void NAME##_encode(int64_t* t, int16_t* x, int16_t* y, int8_t* p, int64_t n, int64_t before,    \
                                      WORD* words, int64_t* n_words) {                                             \
    *n_words = spikeloom::NAME##_encode({t, x, y, p, n}, before, words);                                           \
  }

SPIKELOOM_DECODER(evt2)
SPIKELOOM_ENCODER(evt2, uint32_t)
SPIKELOOM_DECODER(evt21)
SPIKELOOM_ENCODER(evt21, uint64_t)
SPIKELOOM_DECODER(evt3)
SPIKELOOM_DECODER(dat)
SPIKELOOM_ENCODER(dat, uint64_t)

SPIKELOOM_EXPORT void evt21_count(const uint8_t* data, int64_t n_words, int64_t swapped, int64_t* most) {
  *most = spikeloom::evt21_count(data, n_words, swapped);
}
SPIKELOOM_EXPORT void evt3_count(const uint8_t* data, int64_t n_words, int64_t* most) {
  *most = spikeloom::evt3_count(data, n_words);
}
SPIKELOOM_EXPORT void evt3_encode(int64_t* t, int16_t* x, int16_t* y, int8_t* p, int64_t n, int64_t* state,
                                  uint16_t* words, int64_t* n_words) {
  *n_words = spikeloom::evt3_encode({t, x, y, p, n}, state, words);
}
SPIKELOOM_EXPORT void es_decode(const uint8_t* data, int64_t size, int64_t* state, int64_t* t, int16_t* x, int16_t* y,
                                int8_t* p, int64_t* n, int64_t* used) {
  spikeloom::Columns out{t, x, y, p, *n};
  *used = state[1] == 1 ? spikeloom::es_events<1>(data, size, state, out)
                        : spikeloom::es_events<2>(data, size, state, out);
  *n = out.n;
}
SPIKELOOM_EXPORT void es_encode(int64_t* t, int16_t* x, int16_t* y, int8_t* p, int64_t n, int64_t before,
                                int64_t height, uint8_t* bytes, int64_t* n_bytes) {
  *n_bytes = spikeloom::es_encode({t, x, y, p, n}, before, height, bytes);
}

SPIKELOOM_EXPORT void lzf_decode(const uint8_t* data, int64_t n, uint8_t* out, int64_t most, int64_t* length) {
  *length = spikeloom::lzf_decode(data, n, out, most);
}
