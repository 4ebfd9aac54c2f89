// Spikes in the order of (sample, step, id), which kernels read: sorted by digits of 10 bits, the least first.
#pragma once

#include <utility>

#include "simd.hpp"

namespace spikeloom {

constexpr int DIGIT = 10;
constexpr uint32_t DIGITS = uint32_t(1) << DIGIT;

template <class Number> SPIKELOOM_INLINE int bits_of(Number number) {
  int bits = 0;
  while (bits < int(8 * sizeof(Number)) && number >> bits) bits++;
  return bits;
}

// The keys, and with them the places (unless null), in the order of the keys' `bits` lowest bits; equal ones keep their
// order. A digit in which all agree takes no pass. `keys` and `other` change places with each pass. n is below 2^32.
template <class Key>
void sort_digits(Key*& keys, Key*& other, uint32_t*& places, uint32_t*& other_places, int64_t n, int bits) {
  for (int shift = 0; shift < bits; shift += DIGIT) {
    uint32_t to[DIGITS] = {};
    for (int64_t i = 0; i < n; i++) to[(keys[i] >> shift) & (DIGITS - 1)]++;
    if (n && to[(keys[0] >> shift) & (DIGITS - 1)] == n) continue;
    for (uint32_t digit = 0, before = 0; digit < DIGITS; digit++) before += std::exchange(to[digit], before);
    for (int64_t i = 0; i < n; i++) {
      const uint32_t slot = to[(keys[i] >> shift) & (DIGITS - 1)]++;
      other[slot] = keys[i];
      if (places) other_places[slot] = places[i];
    }
    if (places) std::swap(places, other_places);
    std::swap(keys, other);
  }
}

// The keys in ascending order in place, and in `places` where each was; the others are room to work in.
template <class Key>
void sort_keys(Key* keys, Key* other, uint32_t* places, uint32_t* other_places, int64_t n) {
  Key* sorted = keys;
  uint32_t* order = places;
  Key all = 0;
  for (int64_t i = 0; i < n; i++) all |= keys[i];
  for (int64_t i = 0; i < n; i++) places[i] = uint32_t(i);
  sort_digits(sorted, other, order, other_places, n, bits_of(all));
  if (sorted != keys) std::memcpy(keys, sorted, n * sizeof(Key));
  if (order != places) std::memcpy(places, order, n * sizeof(uint32_t));
}

template <class Number> SPIKELOOM_INLINE Number number_at(const uint8_t* bytes, int64_t k) {
  Number number;
  std::memcpy(&number, bytes + k * int64_t(sizeof(Number)), sizeof(Number));
  return number;
}

template <class Time> SPIKELOOM_INLINE uint32_t step_at(const uint8_t* times, int64_t k, const int32_t* table) {
  const Time time = number_at<Time>(times, k);
  return uint32_t(table ? table[uint16_t(time)] : int32_t(time));
}

// The keys step << id_bits | id of n events, and all their bits in `all`. Returns the first event whose step is below 0
// or whose id is none of n_ids, or -1. A step is table[time], or the time where there is no table.
template <class Key, class Time, class Id>
int64_t keys_of(const uint8_t* times, const uint8_t* ids, int64_t n, const int32_t* table, uint32_t n_ids, int id_bits,
                Key* keys, Key* all) {
  Key seen = 0;
  uint32_t wrong = 0;
  for (int64_t e = 0; e < n; e++) {
    const uint32_t step = step_at<Time>(times, e, table), id = uint32_t(number_at<Id>(ids, e));
    wrong |= step >> 31 | uint32_t(id >= n_ids);
    seen |= keys[e] = Key(step) << id_bits | id;
  }
  *all = seen;
  for (int64_t e = 0; wrong && e < n; e++)
    if (step_at<Time>(times, e, table) >> 31 || uint32_t(number_at<Id>(ids, e)) >= n_ids) return e;
  return -1;
}

// The events of each sample, lengths[b] times and ids that begin at bytes time_places[b] and id_places[b], as spikes in
// order, each once: their steps and ids, in `counts` (unless null) how often each was there, in `ends` where each sample
// ends. `keys` and `other` have room for the longest sample. bad: the sample and the place in it of the first event with
// a wrong step or id; a sample of -1: there is none.
template <class Key, class Time, class Id>
void grid_events(const uint8_t* times, const int64_t* time_places, const uint8_t* ids, const int64_t* id_places,
                 const int64_t* lengths, int64_t n_samples, const int32_t* table, int64_t n_ids, int32_t* steps,
                 int32_t* ids_out, int32_t* counts, int64_t* ends, Key* keys, Key* other, int64_t* bad) {
  const int id_bits = bits_of(uint64_t(n_ids - 1));
  const Key id_mask = Key((uint64_t(1) << id_bits) - 1);
  uint32_t *none = nullptr, *nothing = nullptr;
  int64_t first = 0;
  for (int64_t b = 0; b < n_samples; b++) {
    const int64_t n = lengths[b];
    Key all = 0;
    bad[0] = b;
    bad[1] = keys_of<Key, Time, Id>(times + time_places[b], ids + id_places[b], n, table, uint32_t(n_ids), id_bits, keys,
                                    &all);
    if (bad[1] >= 0) return;
    sort_digits(keys, other, none, nothing, n, bits_of(all));
    int64_t kept = 0;
    for (int64_t i = 0, last = 0; i < n; i++) {
      other[kept] = keys[i];
      if (i + 1 < n && keys[i] == keys[i + 1]) continue;
      if (counts) counts[first + kept] = int32_t(i + 1 - last);
      last = i + 1;
      kept++;
    }
    for (int64_t i = 0; i < kept; i++) {
      steps[first + i] = int32_t(other[i] >> id_bits);
      ids_out[first + i] = int32_t(other[i] & id_mask);
    }
    ends[b] = first += kept;
  }
  bad[0] = -1;
}

}  // namespace spikeloom

#define SPIKELOOM_SORT(SUFFIX, KEY)                                                                               \
  SPIKELOOM_EXPORT void sort_keys_##SUFFIX(KEY* keys, KEY* other, uint32_t* places, uint32_t* other_places,       \
                                           int64_t n) {                                                           \
    spikeloom::sort_keys(keys, other, places, other_places, n);                                                   \
  }
SPIKELOOM_SORT(u32, uint32_t)
SPIKELOOM_SORT(u64, uint64_t)

#define SPIKELOOM_GRID(SUFFIX, KEY, TIME, ID)                                                                      \
  SPIKELOOM_EXPORT void grid_events_##SUFFIX(                                                                      \
      const uint8_t* times, const int64_t* time_places, const uint8_t* ids, const int64_t* id_places,              \
      const int64_t* lengths, int64_t n_samples, const int32_t* table, int64_t n_ids, int32_t* steps,              \
      int32_t* ids_out, int32_t* counts, int64_t* ends, KEY* keys, KEY* other, int64_t* bad) {                     \
    spikeloom::grid_events<KEY, TIME, ID>(times, time_places, ids, id_places, lengths, n_samples, table, n_ids,    \
                                          steps, ids_out, counts, ends, keys, other, bad);                         \
  }
SPIKELOOM_GRID(u16_u32, uint32_t, uint16_t, uint16_t)
SPIKELOOM_GRID(u16_u64, uint64_t, uint16_t, uint16_t)
SPIKELOOM_GRID(i32_u32, uint32_t, int32_t, int32_t)
SPIKELOOM_GRID(i32_u64, uint64_t, int32_t, int32_t)
