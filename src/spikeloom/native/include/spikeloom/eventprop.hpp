// Leaky integrate-and-fire neurons with exponential synapses, computed from event to event without a time step, and the
// exact derivatives of the times of their spikes (EventProp, Wunderlich and Pehle 2021).
//
//   tau_m dV/dt = -V + I,  tau_s dI/dt = -I;  I += w at an arrival;  V >= theta: a spike, V = reset
//
// Potentials count from rest. On the way back P = dL/dV and Q = dL/dI; a spike's slope is (I - theta) / tau_m before the
// reset and (I - reset) / tau_m after it. Spikes of a sample come, and leave, sorted by time.
#pragma once

#include <algorithm>
#include <vector>

#include "simd.hpp"

namespace spikeloom {

struct Leaks {
  double tau_m, tau_s, theta, reset;
  double rate_m = 1 / tau_m, rate_s = 1 / tau_s;
  double mix = std::abs(tau_s - tau_m) < 1e-8 * tau_m ? 0 : tau_s / (tau_s - tau_m);  // 0: they are taken as equal
};

// exp(-x) for x >= 0; where it is short, as between two events, its series up to x^12 / 12!.
SPIKELOOM_INLINE double decay(double x) {
  if (!(x < 0.25)) return std::exp(-x);
  const double y = -x, y2 = y * y, y4 = y2 * y2;
  const double low = (1 + y) + y2 * (1.0 / 2 + y * (1.0 / 6));
  const double middle = (1.0 / 24 + y * (1.0 / 120)) + y2 * (1.0 / 720 + y * (1.0 / 5040));
  const double high = (1.0 / 40320 + y * (1.0 / 362880)) + y2 * (1.0 / 3628800 + y * (1.0 / 39916800));
  return low + y4 * (middle + y4 * (high + y4 * (1.0 / 479001600)));
}

// What a stretch of h ms does: V = a V + b I, I = s I.
struct Flow {
  double a, b, s;
  Flow(const Leaks& k, double h) : a(decay(h * k.rate_m)), s(decay(h * k.rate_s)) {
    b = k.mix == 0 ? h * k.rate_m * a : k.mix * (s - a);
  }
};

SPIKELOOM_INLINE double potential(const Leaks& k, double v, double i, double h) {
  const Flow f(k, h);
  return f.a * v + f.b * i;
}

// After how many ms, at most h, the potential v with the current i reaches theta; -1 where it does not. While it rises
// it does so ever slower, since it follows a current that decays: there is one root, found by Halley's steps from where
// the parabola at 0 meets theta. A potential that was rounded to theta is there at once.
inline double crossing(const Leaks& k, double v, double i, double h) {
  const double rise = (i - v) * k.rate_m, bend = (-i * k.rate_s - rise) * k.rate_m, missing = k.theta - v;
  if (!(i > k.theta) || v + rise * h < k.theta) return -1;
  if (missing <= 0) return 0;
  double low = 0, high = h;
  if (potential(k, v, i, h) < k.theta) {  // unless its peak, where V = I, lies before the end
    const double mixed = k.mix * i;
    const double top = k.mix == 0 ? k.tau_m * (i - v) / i
                                  : -std::log(-mixed * k.tau_m / ((v - mixed) * k.tau_s)) / (k.rate_m - k.rate_s);
    if (!(top > 0 && top < h) || !(potential(k, v, i, top) >= k.theta)) return -1;
    high = top;
  }
  const double inside = rise * rise + 2 * bend * missing;
  double x = inside > 0 ? std::min(high, 2 * missing / (rise + std::sqrt(inside))) : high;
  for (int n = 0; n < 100; n++) {
    const Flow f(k, x);
    const double current = f.s * i, above = f.a * v + f.b * i - k.theta;
    const double slope = (current - above - k.theta) * k.rate_m, curve = (-current * k.rate_s - slope) * k.rate_m;
    (above < 0 ? low : high) = x;
    const double next = x - above / (slope - above * curve / (2 * slope));
    if (std::abs(above) <= 1e-6 * high * std::abs(slope)) return std::min(high, std::max(low, next));  // wrong by a cube
    x = next > low && next < high ? next : (low + high) / 2;
  }
  return x;
}

// The spikes of all samples as they come: of those beyond `room` only the number is kept.
struct Fired {
  struct Spike {
    double time, current;
    int32_t id;
  };
  double* time;
  int32_t* id;
  double* current;
  int64_t room, most, n = 0, begin = 0;
  std::vector<Spike> spikes = {};
  bool full() const { return n - begin > most; }
  void add(double t, int64_t i, double c) {
    if (n < room) time[n] = t, id[n] = int32_t(i), current[n] = c;
    n++;
  }
  // Sorts those from `first` on by time, then by neuron.
  void sort_from(int64_t first) {
    const int64_t last = std::min(n, room);
    if (last - first < 2) return;
    spikes.clear();
    for (int64_t k = first; k < last; k++) spikes.push_back({time[k], current[k], id[k]});
    std::sort(spikes.begin(), spikes.end(), [](const Spike& a, const Spike& b) {
      return a.time < b.time || (a.time == b.time && a.id < b.id);
    });
    for (const Spike& s : spikes) time[first] = s.time, id[first] = s.id, current[first++] = s.current;
  }
};

// One neuron through h ms from time t on with its spikes.
template <class Real> void fire(const Leaks& k, Fired& fired, int64_t n, double t, double h, Real& v, Real& i) {
  double x, at = t, left = h, potential = v, current = i;
  while (!fired.full() && (x = crossing(k, potential, current, left)) >= 0) {
    at += x, left = std::max(0.0, left - x);
    current *= decay(x * k.rate_s), potential = k.reset;
    fired.add(at, n, current);
  }
  const Flow f(k, left);
  v = Real(f.a * potential + f.b * current), i = Real(f.s * current);
}

template <class Real> struct Neurons {
  const int64_t n;
  std::vector<Real> first, second;  // V and I, or P and Q
  explicit Neurons(int64_t n) : n(n), first(size_t(n + lanes<Real>)), second(size_t(n + lanes<Real>)) {}
  void clear() { std::fill(first.begin(), first.end(), Real(0)), std::fill(second.begin(), second.end(), Real(0)); }
  void add_row(std::vector<Real>& to, const Real* row) {
    for (int64_t i = 0; i < n; i += lanes<Real>) store(&to[size_t(i)], load(&to[size_t(i)]) + load_some(row + i, n - i));
  }
};

template <class Real> void advance(const Leaks& k, Neurons<Real>& x, Fired& fired, double t, double h) {
  if (!(h > 0)) return;
  const Flow f(k, h);
  const Vec<Real> a = splat(Real(f.a)), b = splat(Real(f.b)), s = splat(Real(f.s)), theta = splat(Real(k.theta));
  const Vec<Real> rise = splat(Real(1 - f.a));
  const int64_t before = fired.n;
  for (int64_t i = 0; i < x.n; i += lanes<Real>) {
    Real *v = &x.first[size_t(i)], *c = &x.second[size_t(i)];
    const Vec<Real> potential = load(v), current = load(c);
    const Vec<Real> later = a * potential + b * current, decayed = s * current;
    store(v, later), store(c, decayed);
    // It has crossed by the end; or its peak, where V = I, lies before the end and may be as high as a constant I led it.
    const auto peak = (decayed < later) & (potential + (current - potential) * rise >= theta) & (current > theta);
    for (uint64_t left = bits((later >= theta) | peak); left; left &= left - 1) {
      const int lane = __builtin_ctzll(left);
      v[lane] = potential[lane], c[lane] = current[lane];
      fire(k, fired, i + lane, t, h, v[lane], c[lane]);
    }
  }
  fired.sort_from(before);
}

// Each sample's arrivals are those at offsets[b] .. offsets[b + 1] - 1, sorted by time; w (n_in, n).
template <class Real>
void lif_events(int64_t samples, int64_t n, const int64_t* offsets, const double* time, const int32_t* id, const Real* w,
                double stop, const Leaks& k, Fired& fired, int64_t* counts) {
  Neurons<Real> x(n);
  for (int64_t b = 0; b < samples; b++) {
    double now = 0;
    x.clear(), fired.begin = fired.n;
    for (int64_t e = offsets[b]; e < offsets[b + 1] && time[e] < stop && !fired.full(); e++) {
      advance(k, x, fired, now, time[e] - now);
      now = time[e], x.add_row(x.second, w + id[e] * n);
    }
    advance(k, x, fired, now, stop - now);
    counts[b] = fired.n - fired.begin;
  }
}

// The same neurons without a threshold, seen at the end of each of n_steps steps of dt ms: v (n_steps, samples, n).
template <class Real>
void leaky_events(int64_t samples, int64_t n, const int64_t* offsets, const double* time, const int32_t* id,
                  const Real* w, int64_t n_steps, double dt, Leaks k, Real* v) {
  Neurons<Real> x(n);
  Fired none{nullptr, nullptr, nullptr, 0, 0};
  k.theta = HUGE_VAL;
  for (int64_t b = 0; b < samples; b++) {
    double now = 0;
    int64_t e = offsets[b];
    x.clear();
    for (int64_t step = 0; step < n_steps; step++) {
      const double end = double(step + 1) * dt;
      for (; e < offsets[b + 1] && time[e] < end; e++) {
        advance(k, x, none, now, time[e] - now);
        now = time[e], x.add_row(x.second, w + id[e] * n);
      }
      advance(k, x, none, now, end - now);
      now = end;
      std::copy_n(x.first.begin(), n, v + (step * samples + b) * n);
    }
  }
}

// P and Q back over h ms.
template <class Real> void retreat(const Leaks& k, Neurons<Real>& x, double h) {
  if (!(h > 0)) return;
  const Flow f(k, h);
  const Vec<Real> a = splat(Real(f.a)), b = splat(Real(f.b)), s = splat(Real(f.s));
  for (int64_t i = 0; i < x.n; i += lanes<Real>) {
    Real *p = &x.first[size_t(i)], *q = &x.second[size_t(i)];
    const Vec<Real> dv = load(p), di = load(q);
    store(p, a * dv), store(q, b * dv + s * di);
  }
}
inline void retreat(const Leaks& k, double& p, double& q, double h) {
  const Flow f(k, h);
  q = f.b * p + f.s * q, p *= f.a;
}

// dL/dV before a spike from that after it; g: dL/d(its time).
SPIKELOOM_INLINE double before_spike(const Leaks& k, double p, double g, double current) {
  return ((current - k.reset) * p - g * k.tau_m) / (current - k.theta);
}

// The weights' gradient of an arrival; gives dL/d(its time).
template <class Real> double arrive(const Leaks& k, Neurons<Real>& x, const Real* row, Real* grad) {
  const Vec<Real> by_s = splat(Real(k.rate_s)), by_m = splat(Real(k.rate_m));
  Vec<Real> sum{};
  for (int64_t i = 0; i < x.n; i += lanes<Real>) {
    const Vec<Real> p = load(&x.first[size_t(i)]), q = load(&x.second[size_t(i)]);
    if (grad) store_some(grad + i, load_some(grad + i, x.n - i) + q, x.n - i);
    sum += load_some(row + i, x.n - i) * (q * by_s - p * by_m);
  }
  double total = 0;
  for (int i = 0; i < lanes<Real>; i++) total += double(sum[i]);
  return total;
}

// The spikes of a layer as `lif_events` gave them, with dL/d(their times) in g; push (samples, n), or null, is added to
// dL/dV at each spike. Adds to grad_w (n_in, n), and writes dL/d(arrival times) to grad_time unless it is null.
template <class Real>
void lif_events_back(int64_t samples, int64_t n, const int64_t* offsets, const double* time, const int32_t* id,
                     const Real* w, double stop, const Leaks& k, const int64_t* spike_offsets, const double* spike_time,
                     const int32_t* spike_id, const double* current, const double* g, const double* push, Real* grad_w,
                     double* grad_time) {
  struct Apart {
    double p, q, at;
    int64_t seen;
  };
  Neurons<Real> x(n);
  std::vector<Apart> apart(size_t(n), Apart{0, 0, 0, -1});
  std::vector<int32_t> touched;
  for (int64_t b = 0; b < samples; b++) {
    double now = stop;
    int64_t spike = spike_offsets[b + 1];
    x.clear();
    for (int64_t e = offsets[b + 1] - 1; e >= offsets[b]; e--) {
      if (!(time[e] < stop)) continue;
      touched.clear();
      for (; spike > spike_offsets[b] && spike_time[spike - 1] > time[e]; spike--) {
        const int64_t s = spike - 1, i = spike_id[s];
        Apart& one = apart[size_t(i)];
        if (one.seen != e) {
          one = {double(x.first[size_t(i)]), double(x.second[size_t(i)]), now, e};
          touched.push_back(int32_t(i));
        }
        retreat(k, one.p, one.q, one.at - spike_time[s]);
        one.p = before_spike(k, one.p, g[s], current[s]) + (push ? push[b * n + i] : 0), one.at = spike_time[s];
      }
      retreat(k, x, now - time[e]);
      for (const int32_t i : touched) {
        Apart& one = apart[size_t(i)];
        retreat(k, one.p, one.q, one.at - time[e]);
        x.first[size_t(i)] = Real(one.p), x.second[size_t(i)] = Real(one.q);
      }
      now = time[e];
      const double slope = arrive(k, x, w + id[e] * n, grad_w ? grad_w + id[e] * n : nullptr);
      if (grad_time) grad_time[e] = slope;
    }
  }
}

template <class Real>
void leaky_events_back(int64_t samples, int64_t n, const int64_t* offsets, const double* time, const int32_t* id,
                       const Real* w, int64_t n_steps, double dt, const Leaks& k, const Real* grad_v, Real* grad_w,
                       double* grad_time) {
  Neurons<Real> x(n);
  for (int64_t b = 0; b < samples; b++) {
    int64_t e = offsets[b + 1];
    const double stop = double(n_steps) * dt;
    for (; e > offsets[b] && time[e - 1] >= stop; e--) grad_time[e - 1] = 0;
    x.clear();
    double now = stop;
    for (int64_t step = n_steps; step-- > 0;) {
      const double end = double(step + 1) * dt;
      retreat(k, x, now - end);
      now = end, x.add_row(x.first, grad_v + (step * samples + b) * n);
      for (; e > offsets[b] && time[e - 1] >= double(step) * dt; e--) {
        retreat(k, x, now - time[e - 1]);
        now = time[e - 1];
        grad_time[e - 1] = arrive(k, x, w + id[e - 1] * n, grad_w + id[e - 1] * n);
      }
    }
  }
}

}  // namespace spikeloom

#define SPIKELOOM_EVENTPROP(Real, name)                                                                                \
  SPIKELOOM_EXPORT void lif_events_##name(int64_t samples, int64_t n, const int64_t* offsets, const double* time,      \
                                          const int32_t* id, const Real* w, double stop, double tau_m, double tau_s,   \
                                          double theta, double reset, double* spike_time, int32_t* spike_id,           \
                                          double* current, int64_t room, int64_t most, int64_t* counts) {              \
    spikeloom::Fired fired{spike_time, spike_id, current, room, most};                                                 \
    spikeloom::lif_events(samples, n, offsets, time, id, w, stop, {tau_m, tau_s, theta, reset}, fired, counts);        \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void lif_events_back_##name(                                                                        \
      int64_t samples, int64_t n, const int64_t* offsets, const double* time, const int32_t* id, const Real* w,        \
      double stop, double tau_m, double tau_s, double theta, double reset, const int64_t* spike_offsets,               \
      const double* spike_time, const int32_t* spike_id, const double* current, const double* g, const double* push,   \
      Real* grad_w, double* grad_time) {                                                                               \
    spikeloom::lif_events_back(samples, n, offsets, time, id, w, stop, {tau_m, tau_s, theta, reset}, spike_offsets,    \
                               spike_time, spike_id, current, g, push, grad_w, grad_time);                             \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void leaky_events_##name(int64_t samples, int64_t n, const int64_t* offsets, const double* time,    \
                                            const int32_t* id, const Real* w, int64_t n_steps, double dt,              \
                                            double tau_m, double tau_s, Real* v) {                                     \
    spikeloom::leaky_events(samples, n, offsets, time, id, w, n_steps, dt, {tau_m, tau_s, 0, 0}, v);                   \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void leaky_events_back_##name(                                                                      \
      int64_t samples, int64_t n, const int64_t* offsets, const double* time, const int32_t* id, const Real* w,        \
      int64_t n_steps, double dt, double tau_m, double tau_s, const Real* grad_v, Real* grad_w, double* grad_time) {   \
    spikeloom::leaky_events_back(samples, n, offsets, time, id, w, n_steps, dt, {tau_m, tau_s, 0, 0}, grad_v, grad_w,  \
                                 grad_time);                                                                           \
  }
SPIKELOOM_EVENTPROP(float, f32)
SPIKELOOM_EVENTPROP(double, f64)
