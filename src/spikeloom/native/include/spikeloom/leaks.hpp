// A leaky integrator behind an exponential synapse in closed form, for one neuron (V = double) or a vector of them.
//
//   tau_m dV/dt = -V + I,  tau_s dI/dt = -I
#pragma once

#include "simd.hpp"

namespace spikeloom {

struct Leaks {
  double tau_m, tau_s, theta, reset;
  double rate_m = 1 / tau_m, rate_s = 1 / tau_s;
  double apart = (tau_s - tau_m) / tau_s;                     // times h / tau_m: how far the exponents are apart
  double mix = std::abs(apart) < 1e-4 ? 0 : 1 / apart;        // 0: their difference would be rounding errors
  double shortest = tau_s < tau_m ? tau_s : tau_m;
  double reach = 60 * (tau_s < tau_m ? tau_m : tau_s);        // after so long nobody reaches the threshold any more
};

SPIKELOOM_INLINE bool any(bool m) { return m; }
SPIKELOOM_INLINE bool any(Mask<double> m) { return bits(m) != 0; }

// Unsigned, since the exponent is shifted out of its range.
typedef uint64_t Words __attribute__((vector_size(vector_bytes)));
template <class V> using IntOf = std::conditional_t<std::is_same_v<V, double>, uint64_t, Words>;

// exp(-x) for x >= 0, to a unit in the last place or two: exp(-x) = 2^-n exp(n ln 2 - x), |n ln 2 - x| <= ln 2 / 2.
template <class V> SPIKELOOM_INLINE V decay(V x) {
  constexpr double magic = 6755399441055744.0;  // 1.5 2^52: what is added to it is rounded to a whole number
  x = x < 700 ? x : V{} + 700;
  const V shifted = x * 1.4426950408889634 + magic, whole = shifted - magic;
  const V y = (whole * 6.93147180369123816490e-01 - x) + whole * 1.90821492927058770002e-10;
  const V y2 = y * y, y4 = y2 * y2;
  const V low = (1 + y) + y2 * (1.0 / 2 + y * (1.0 / 6));
  const V middle = (1.0 / 24 + y * (1.0 / 120)) + y2 * (1.0 / 720 + y * (1.0 / 5040));
  const V high = (1.0 / 40320 + y * (1.0 / 362880)) + y2 * (1.0 / 3628800 + y * (1.0 / 39916800));
  V found = low + y4 * (middle + y4 * (high + y4 * (1.0 / 479001600)));
  IntOf<V> n, bits;
  std::memcpy(&n, &shifted, sizeof n), std::memcpy(&bits, &found, sizeof bits);
  bits -= n << 52;
  std::memcpy(&found, &bits, sizeof bits);
  return found;
}

// What a stretch of h ms does: V = a V + b I, I = s I. b = (s - a) tau_s / (tau_s - tau_m), and by its series where the
// time constants are nearly equal: s = a exp(d), b = a h / tau_m (exp(d) - 1) / d.
template <class V> struct Flow {
  V a, b, s;
  static Flow of(const Leaks& k, V h) {
    const V a = decay(h * k.rate_m), s = decay(h * k.rate_s);
    return {a, k.mix == 0 ? nearly(k, h) * a : k.mix * (s - a), s};
  }
  static V nearly(const Leaks& k, V h) {
    const V far = h * k.rate_m, x = far < 700 ? far : V{} + 700, d = x * k.apart;
    return x * (1 + d * (0.5 + d * (1.0 / 6 + d * (1.0 / 24 + d * (1.0 / 120)))));
  }
};

// After how many ms, at most h, the potential v with the current i reaches theta; -1 where it does not. While it rises
// it does so ever slower, since it follows a current that decays: where it rises, Newton's step leads to a lower bound
// of the one root. Halley's step is taken where it lies within the bounds. A potential rounded to theta is there at once.
template <class V> SPIKELOOM_INLINE V crossing(const Leaks& k, V v, V i, V h) {
  const V rise = (i - v) * k.rate_m, bend = (-i * k.rate_s - rise) * k.rate_m, missing = k.theta - v;
  V low = missing > 0 ? missing / rise : V{}, high = h, found = V{} - 1;
  auto open = (i > k.theta) & (low <= h);
  found = open & (missing <= 0) ? V{} : found;
  open = open & (missing > 0);
  const V slower = rise + missing * bend / (2 * rise);  // Halley's step from 0
  V x = (slower > 0) & (slower * h > missing) ? missing / slower : h;
  const V enough = 1e-6 * (h < k.shortest ? h : V{} + k.shortest);
  for (int n = 0; n < 100 && any(open != 0); n++) {
    const Flow<V> f = Flow<V>::of(k, x);
    const V current = f.s * i, above = f.a * v + f.b * i - k.theta;
    const V slope = (current - above - k.theta) * k.rate_m, curve = (-current * k.rate_s - slope) * k.rate_m;
    const V newton = x - above / slope, halley = x - 2 * above * slope / (2 * slope * slope - above * curve);
    const V near = above < 0 ? -above : above;
    const auto rises = slope > 0, done = open & rises & (near <= enough * slope);  // wrong by a cube
    const V within = halley > 0 ? halley : V{};
    found = done ? (within < h ? within : h) : found;
    low = rises & (newton > low) ? newton : low;
    high = (above < 0) & rises ? high : x;
    open = open & (done == 0) & (low <= high);
    x = rises & (halley > low) & (halley < high) ? halley : (low + high) * 0.5;
  }
  return found;
}

}  // namespace spikeloom
