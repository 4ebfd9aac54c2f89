// Measures of pairs of spike trains: distances and coincidences. Train k has the ascending times
// time[start[k] .. start[k + 1] - 1]; matrices are n x n.
#pragma once

#include <algorithm>

#include "simd.hpp"

namespace spikeloom {

struct Train {
  const double* time;
  int64_t n;
};

SPIKELOOM_INLINE Train train_of(const double* time, const int64_t* start, int64_t k) {
  return {time + start[k], start[k + 1] - start[k]};
}

// The most that shifting spikes of u onto spikes of v saves against deleting and inserting them, 2 - q |u_i - v_j| each,
// in pairs that do not cross. best[j] is the most that the spikes of u so far save with the first j of v; it is kept for
// the j that a spike of u can reach at a saving, from `low` to `high`: before them it no longer changes, behind them it
// is best[high].
inline double most_saved(Train u, Train v, double q, double* best) {
  int64_t low = 0, high = 0;
  best[0] = 0;
  for (int64_t i = 0; i < u.n; i++) {
    const double t = u.time[i];
    while (high < v.n && (v.time[high] <= t || 2 - q * (v.time[high] - t) > 0)) best[high + 1] = best[high], high++;
    while (low < high && v.time[low] < t && 2 - q * (t - v.time[low]) <= 0) low++;
    double before = best[low], most = best[low];
    for (int64_t j = low; j < high; j++) {
      const double saved = before + (2 - q * std::fabs(t - v.time[j]));
      before = best[j + 1];
      best[j + 1] = most = std::max(most, std::max(before, saved));
    }
  }
  return best[high];
}

SPIKELOOM_INLINE double half_interval(Train a, int64_t i, double longest) {
  if (i > 0) longest = std::min(longest, (a.time[i] - a.time[i - 1]) / 2);
  if (i + 1 < a.n) longest = std::min(longest, (a.time[i + 1] - a.time[i]) / 2);
  return longest;
}

// How many spikes of u have one of v that is nearer than half of every interval next to either, and than `longest`. The
// nearest of v is the only one that can.
inline int64_t coincidences(Train u, Train v, double longest) {
  int64_t found = 0, j = 0;
  for (int64_t i = 0; i < u.n && v.n; i++) {
    const double t = u.time[i];
    while (j + 1 < v.n && std::fabs(v.time[j + 1] - t) < std::fabs(v.time[j] - t)) j++;
    found += std::fabs(v.time[j] - t) < half_interval(u, i, half_interval(v, j, longest));
  }
  return found;
}

}  // namespace spikeloom

// Victor-Purpura distances of train k from the trains after it, into `out` (n). `best` has room for the longest + 1.
SPIKELOOM_EXPORT void victor_purpura(const double* time, const int64_t* start, int64_t n, int64_t k, double q,
                                     double* best, double* out) {
  const spikeloom::Train u = spikeloom::train_of(time, start, k);
  for (int64_t l = k + 1; l < n; l++) {
    const spikeloom::Train v = spikeloom::train_of(time, start, l);
    out[l] = double(u.n + v.n) - spikeloom::most_saved(u, v, q, best);
  }
}

// The coincident spikes of train k with each train after it, into `out` (n).
SPIKELOOM_EXPORT void spike_coincidences(const double* time, const int64_t* start, int64_t n, int64_t k, double longest,
                                         int64_t* out) {
  const spikeloom::Train u = spikeloom::train_of(time, start, k);
  for (int64_t l = k + 1; l < n; l++) out[l] = spikeloom::coincidences(u, spikeloom::train_of(time, start, l), longest);
}

// Adds to before[u, v] the sum, over the spikes of u, of exp(-(t - s) / tau) over the earlier spikes s of v; and to
// together[u, v] the number of pairs of spikes at one time. All spikes of all n trains in the order of time, with their
// train in `of`; `trace` (n) is zero.
SPIKELOOM_EXPORT void decayed_pairs(const double* time, const int64_t* of, int64_t n_spikes, int64_t n, double tau,
                                    double* trace, double* before, double* together) {
  const spikeloom::FlushDenormals flush;
  for (int64_t first = 0, end = 0; first < n_spikes; first = end) {
    while (end < n_spikes && time[end] == time[first]) end++;
    const double decay = first ? std::exp((time[first - 1] - time[first]) / tau) : 0;
    for (int64_t v = 0; v < n; v++) trace[v] *= decay;
    for (int64_t i = first; i < end; i++) {
      double* row = before + of[i] * n;
      for (int64_t v = 0; v < n; v++) row[v] += trace[v];
      for (int64_t j = first; j < end; j++) together[of[i] * n + of[j]]++;
    }
    for (int64_t i = first; i < end; i++) trace[of[i]]++;
  }
}

// Adds to products[u, v] the products of the counts of u and v of each row: its spikes' columns, each as often as it
// fires, are column[start[r] .. start[r + 1] - 1].
SPIKELOOM_EXPORT void count_products(const int64_t* start, const int64_t* column, int64_t n_rows, int64_t n,
                                     double* products) {
  for (int64_t r = 0; r < n_rows; r++)
    for (int64_t i = start[r]; i < start[r + 1]; i++) {
      double* row = products + column[i] * n;
      for (int64_t j = start[r]; j < start[r + 1]; j++) row[column[j]]++;
    }
}
