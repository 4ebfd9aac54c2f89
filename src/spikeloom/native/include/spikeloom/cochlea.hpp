// Inner hair cells with a transmitter pool, the fibres of the auditory nerve, and a bushy cell for each channel.
#pragma once

#include "simd.hpp"

namespace spikeloom {

typedef Vec<double> Doubles;
constexpr int64_t side_by_side = lanes<double>;

struct Ear {
  int64_t channels, n_steps, fibres, fibre_steps, rest_steps, first_step, room;
};
struct Rates {
  double made, release, lost, back, again, chance, A, B, current, potential, weight;
};
struct Cells {
  Doubles free, cleft, used, current, potential, rest;
};
struct Found {
  int32_t *steps, *ids;
  int64_t n;
};

// How many of n ready fibres fire with probability p each: the inverse of the binomial law at u.
SPIKELOOM_INLINE int64_t binomial(int64_t n, double p, double u) {
  if (p >= 1) return n;
  double term = 1, power = 1 - p;
  for (int64_t i = n; i; i >>= 1, power *= power) term *= i & 1 ? power : 1;
  int64_t k = 0;
  for (double sum = term; u >= sum && k < n; sum += term, k++) term *= double(n - k) / double(k + 1) * (p / (1 - p));
  return k;
}

// The chance of a fibre to fire, after a step of the reservoirs.
SPIKELOOM_INLINE Doubles release(Cells& s, Doubles velocity, const Rates& k) {
  const Doubles zero{}, a = velocity + k.A;
  const Doubles open = a > 0 ? k.release * a / (a + k.B) : zero;
  const Doubles made = s.free < 1 ? k.made * (1 - s.free) : zero;
  const Doubles out = open * s.free, lost = k.lost * s.cleft, back = k.back * s.cleft, again = k.again * s.used;
  s.free += made - out + again;
  s.cleft += out - lost;
  s.used += back - again;
  return k.chance * s.cleft;
}

// The number of spikes of the ready fibres of each channel, at most `most`, u being uniform in 0..1.
SPIKELOOM_INLINE Doubles fibres(Doubles ready, int64_t most, Doubles p, Doubles u) {
  const Mask<double> n = __builtin_convertvector(ready, Mask<double>);
  Doubles none = splat(1.0), power = 1 - p;
  for (int64_t bit = 1; bit <= most; bit <<= 1, power *= power) none = (n & bit) != 0 ? none * power : none;
  const Doubles one = none + none * ready * (p / (1 - p));
  Doubles fired = u >= none ? splat(1.0) : Doubles{}, lane;
  for (int i = 0; i < side_by_side; i++) lane[i] = i;
  for (uint64_t left = bits((u >= one) | (p >= 1)); left; left &= left - 1) {  // seldom
    const int i = __builtin_ctzll(left);
    fired = lane == double(i) ? splat(double(binomial(int64_t(ready[i]), p[i], u[i]))) : fired;
  }
  return fired;
}

// n channels side by side from c on. nerve [slot][channel] holds the fibres' counts of the last steps.
SPIKELOOM_INLINE void hear(const float* velocity, const float* uniform, int64_t c, int64_t n, const Ear& ear,
                           const Rates& k, double* state, double* nerve, Found& found) {
  constexpr int64_t block = 16;
  const int64_t C = ear.channels, T = ear.n_steps;
  double moved[block][side_by_side] = {}, drawn[block][side_by_side] = {};
  Doubles part[6];
  for (int j = 0; j < 6; j++) part[j] = load_some(state + j * C + c, n);
  Cells s{part[0], part[1], part[2], part[3], part[4], part[5]};
  Doubles ready{};
  for (int64_t i = 0; i < n; i++) ready[i] = double(ear.fibres);
  for (int64_t f = 0; f < ear.fibre_steps; f++) ready -= load_some(nerve + f * C + c, n);
  for (int64_t t = 0; t < T; t++) {
    if (t % block == 0)
      for (int64_t i = 0; i < n; i++)
        for (int64_t b = 0; b < block && t + b < T; b++) {
          moved[b][i] = velocity[(c + i) * T + t + b];
          drawn[b][i] = uniform[(c + i) * T + t + b];
        }
    const Doubles p = release(s, load(moved[t % block]), k);
    double* slot = nerve + (ear.first_step + t) % ear.fibre_steps * C + c;
    ready += load_some(slot, n);
    const Doubles fired = fibres(ready, ear.fibres, p, load(drawn[t % block]));
    ready -= fired;
    store_some(slot, fired, n);
    s.current = s.current * k.current + fired;
    s.potential = s.rest > 0 ? Doubles{} : s.potential * k.potential + k.weight * s.current;
    s.rest -= 1;
    const Mask<double> over = s.potential >= 1;
    for (uint64_t left = bits(over); left; left &= left - 1, found.n++)
      if (found.n < ear.room) {
        found.steps[found.n] = int32_t(ear.first_step + t);
        found.ids[found.n] = int32_t(c + __builtin_ctzll(left));
      }
    s.potential = over ? Doubles{} : s.potential;
    s.rest = over ? splat(double(ear.rest_steps)) : s.rest;
  }
  const Doubles after[] = {s.free, s.cleft, s.used, s.current, s.potential, s.rest};
  for (int j = 0; j < 6; j++) store_some(state + j * C + c, after[j], n);
}

}  // namespace spikeloom

// Moves all channels on by some steps: velocity and uniform [channels][n_steps], state [6][channels].
// Writes step and channel of each spike, some channels after the others, at most `room` of them, and how many there are.
SPIKELOOM_EXPORT void cochlea_hear(const float* velocity, const float* uniform, const int64_t* ear,
                                   const double* rates, double* state, double* nerve, int32_t* steps, int32_t* ids,
                                   int64_t* written) {
  using namespace spikeloom;
  Ear e;
  Rates k;
  memcpy(&e, ear, sizeof e);
  memcpy(&k, rates, sizeof k);
  Found found{steps, ids, 0};
  int64_t c = 0;
  for (; c + side_by_side <= e.channels; c += side_by_side)
    hear(velocity, uniform, c, side_by_side, e, k, state, nerve, found);
  if (c < e.channels) hear(velocity, uniform, c, e.channels - c, e, k, state, nerve, found);
  written[0] = found.n;
}
