// Random numbers by a key and a place, so that they are the same on every machine and for every vector length.
#pragma once

#include "simd.hpp"

namespace spikeloom {

// The i-th number of a key's sequence: SplitMix64 of Steele, Lea and Flood (2014).
template <class Number> SPIKELOOM_INLINE Number random_bits(uint64_t key, Number i) {
  Number z = key + (i + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}
SPIKELOOM_INLINE uint64_t random_bits(uint64_t key, int64_t i) { return random_bits(key, uint64_t(i)); }

// A distribution of whole numbers around 0, by Walker's aliases (1977): `entry` holds a bound in its lower 32 bits and
// an alias in the upper ones.
struct Shifts {
  const uint64_t* entry;
  int64_t size;

  int64_t draw(uint32_t number) const {
    const uint64_t product = uint64_t(number) * uint64_t(size), k = product >> 32, found = entry[k];
    return chosen(product, k, found, -uint64_t((product & lower) >= (found & lower)));
  }

  // Adds a shift to each of some words: `cell` times a draw, and a place in the cell, an odd number, drawn uniformly.
  void add(uint64_t key, int64_t begin, int64_t end, int64_t cell, uint64_t* words) const {
    int64_t i = begin;
#if defined(__AVX512F__) && defined(__AVX512DQ__)
    typedef uint64_t Words __attribute__((vector_size(64)));
    typedef uint64_t Loose __attribute__((vector_size(64), aligned(8), may_alias));
    typedef long long Places __attribute__((vector_size(64)));
    Words place = {0, 1, 2, 3, 4, 5, 6, 7};
    place += uint64_t(begin);
    for (; i + 8 <= end; i += 8, place += 8) {
      const Words number = random_bits(key, place), product = (number >> 32) * uint64_t(size), k = product >> 32;
      const Words found = (Words)__builtin_ia32_gatherdiv8di(Places{}, entry, (Places)k, 0xff, 8);
      const Words shift = chosen(product, k, found, (Words)((product & lower) >= (found & lower)));
      *(Loose*)(words + i) += shift * uint64_t(cell) + (((number & lower) * uint64_t(cell)) >> 32) - uint64_t(cell / 2);
    }
#endif
    for (; i < end; i++) {
      const uint64_t number = random_bits(key, i);
      const int64_t within = int64_t(((number & lower) * uint64_t(cell)) >> 32) - cell / 2;
      words[i] += uint64_t(draw(uint32_t(number >> 32)) * cell + within);
    }
  }

 private:
  static constexpr uint64_t lower = 0xffffffff;

  // The place k or its alias, without a branch, which could not be predicted.
  template <class Number> Number chosen(Number, Number k, Number found, Number is_alias) const {
    return (k ^ ((k ^ (found >> 32)) & is_alias)) - uint64_t(size / 2);
  }
};

}  // namespace spikeloom
