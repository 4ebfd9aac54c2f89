// Which pixels the events of a stream have, and whether these are among some. The events are on the sensor.
#pragma once

#include "event_lanes.hpp"

namespace spikeloom {

// The numbers of the pixels of `size` events, row by row.
SPIKELOOM_INLINE void pixels_of(const Stream& in, int64_t begin, int64_t size, uint32_t* pixel) {
  for (int64_t i = 0; i < size; i++)
    pixel[i] = uint32_t(uint16_t(in.y[begin + i])) * uint32_t(in.width) + uint16_t(in.x[begin + i]);
}

// The pixels whose bit in a table of height x width bits is 1. Where few are not, most events are told by their row and
// column alone: those of rows and columns without such a pixel stay, by two look-ups in registers.
class PixelSet {
 public:
  PixelSet(const Stream& in, const uint32_t* table) : table_(table) {
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
    rows_.fit(in.height);
    columns_.fit(in.width);
    for (int64_t pixel = 0; pixel < in.width * in.height; pixel++) {
      if (pixel % 32 == 0 && table[pixel / 32] == 0xffffffffu) {
        pixel += 31;
      } else if (!has(uint32_t(pixel))) {
        rows_.add(pixel / in.width);
        columns_.add(pixel % in.width);
      }
    }
    few_ = rows_.share(in.height) * columns_.share(in.width) < .1;
#endif
  }

  // Whether the events of a block have such a pixel: 1 or 0 for each.
  void look_up(const Stream& in, int64_t begin, int64_t size, uint8_t* keep) const {
    int64_t i = 0;
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
    if (few_) i = by_lines(in, begin, size, keep);
    for (; i + 16 <= size; i += 16) sixteen(in, begin + i, keep + i);
#endif
    for (; i < size; i++) keep[i] = has(pixel_of(in, begin + i));
  }

 private:
  bool has(uint32_t pixel) const { return (table_[pixel / 32] >> (pixel % 32)) & 1; }
  static uint32_t pixel_of(const Stream& in, int64_t i) {
    return uint32_t(in.y[i]) * uint32_t(in.width) + uint32_t(in.x[i]);
  }

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
  using Half = Row<short, 32>;

  // Some rows or columns, 1024 bits in two registers; of a larger sensor a bit stands for 2, 4, ... neighbours.
  class Lines {
   public:
    void fit(int64_t n) {
      while ((n - 1) >> shift_ >= 1024) shift_++;
    }
    void add(int64_t line) {
      const int64_t bit = line >> shift_;
      words_[bit >> 4] |= uint16_t(1 << (bit & 15));
    }
    double share(int64_t n) const {
      int count = 0;
      for (const uint16_t word : words_) count += __builtin_popcount(word);
      return double(count) * double(int64_t(1) << shift_) / double(n);
    }
    // Whether the lines of 32 events are among them: the lowest bit of each.
    Half::Vec have(Half::Vec line) const {
      const Half::Vec bit = line >> short(shift_), low = Half::load(words_), high = Half::load(words_ + 32);
      return chosen(low, high, bit >> 4) >> (bit & 15);
    }

   private:
    static Half::Vec chosen(Half::Vec low, Half::Vec high, Half::Vec which) {
#if defined(__clang__)
      return (Half::Vec)__builtin_ia32_vpermi2varhi512(low, which, high);
#else
      return __builtin_shuffle(low, high, which);
#endif
    }
    uint16_t words_[64] = {};
    int shift_ = 0;
  };

  // As many events as fill registers; how many these are, 0 where too many are unsure: on a row and a column with a
  // pixel that is not one of these. The others stay. None of their numbers decides a branch, which would be hard to
  // predict.
  int64_t by_lines(const Stream& in, int64_t begin, int64_t size, uint8_t* keep) const {
    uint32_t unsure[stream_block / 32];
    uint16_t which[stream_block / 8 + 32];
    int64_t i = 0, n = 0;
    for (; i + 32 <= size; i += 32) {
      const Half::Vec row = Half::load(in.y + begin + i), column = Half::load(in.x + begin + i);
      const Half::Vec both = rows_.have(row) & columns_.have(column) & 1;
      unsure[i / 32] = uint32_t(__builtin_ia32_cvtw2mask512(-both));
      n += __builtin_popcount(unsure[i / 32]);
    }
    if (n > stream_block / 8) return 0;
    n = 0;
    for (int64_t k = 0; k < i; k += 32) {
      uint32_t left = unsure[k / 32];
      for (int j = 0; j < 3 || left; j++) {
        which[n] = uint16_t(k + __builtin_ctz(left | 0x80000000u));
        n += left != 0;
        left &= left - 1;
      }
    }
    memset(keep, 1, size_t(i));
    for (int64_t k = 0; k < n; k++) keep[which[k]] = has(pixel_of(in, begin + which[k]));
    return i;
  }
  void sixteen(const Stream& in, int64_t begin, uint8_t* keep) const {
    const Words::Vec row = wide(Shorts::load(in.y + begin)), column = wide(Shorts::load(in.x + begin));
    const Words::Vec pixel = row * int(in.width) + column;
    const Words::Vec words = __builtin_ia32_gathersiv16si(pixel, table_, pixel >> 5, 0xffff, 4);
    Bytes::store(keep, bytes(words >> (pixel & 31) & 1));
  }

  Lines rows_, columns_;
  bool few_ = false;
#endif
  const uint32_t* table_;
};

}  // namespace spikeloom
