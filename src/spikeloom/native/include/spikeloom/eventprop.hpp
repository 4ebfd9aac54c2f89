// Leaky integrate-and-fire neurons with exponential synapses, computed from event to event without a time step, and the
// exact derivatives of the times of their spikes (EventProp, Wunderlich and Pehle 2021).
//
//   tau_m dV/dt = -V + I,  tau_s dI/dt = -I;  I += w at an arrival;  V >= theta: a spike, V = reset
//
// Potentials count from rest. On the way back P = dL/dV and Q = dL/dI; a spike's slope is (I - theta) / tau_m before the
// reset and (I - reset) / tau_m after it. Spikes of a sample come, and leave, sorted by time.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "leaks.hpp"

namespace spikeloom {

// What arrives at n neurons: of sample b the events offsets[b] .. offsets[b + 1] - 1, sorted by time, until `stop`; each
// adds its row of w (rows, n). lag > 0: there is a loop; the last n rows lead from the neurons themselves, whose spikes
// arrive so many ms later. late (rows, n), or null: each synapse has a delay in ms besides, and there is no loop.
template <class Real> struct Input {
  int64_t samples, n, rows, n_events;
  const int64_t* offsets;
  const double* time;
  const int32_t* id;
  const Real *w, *late;
  double stop, lag;
  const Real* end() const { return w + rows * n; }
  int64_t own() const { return rows - n; }  // the row of the first neuron in a loop
};

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


constexpr int wide = lanes<double>;

// V and I, or P and Q, of n neurons; the numbers behind the last one are zeros.
template <class Real> struct Neurons {
  const int64_t n;
  std::vector<Real> first, second;
  Mask<Real> inside{};  // which lanes of the last vector are neurons
  explicit Neurons(int64_t n) : n(n), first(size_t(n + lanes<Real>)), second(size_t(n + lanes<Real>)) {
    for (int i = 0; i < lanes<Real>; i++) inside[i] = i < (n - 1) % lanes<Real> + 1 ? -1 : 0;
  }
  void clear() { std::fill(first.begin(), first.end(), Real(0)), std::fill(second.begin(), second.end(), Real(0)); }
  // The vector at neuron i of a row in an array that ends at `end`.
  Vec<Real> part(const Real* row, int64_t i, const Real* end) const {
    if (n - i >= lanes<Real>) return load(row + i);
    if (end - (row + i) < lanes<Real>) return load_some(row + i, n - i);
    return (Vec<Real>)((Mask<Real>)load(row + i) & inside);
  }
  void add_row(std::vector<Real>& to, const Real* row, const Real* end) {
    for (int64_t i = 0; i < n; i += lanes<Real>) store(&to[size_t(i)], load(&to[size_t(i)]) + part(row, i, end));
  }
};

// Neurons that may reach the threshold in a stretch of time: from when on, how long it lasts, V and I.
struct Ready {
  std::vector<double> at, left, v, i;
  std::vector<int32_t> id;
  int64_t n = 0;
  explicit Ready(int64_t most) : id(size_t(most + wide)) {
    for (auto* part : {&at, &left, &v, &i}) part->resize(size_t(most + wide));
  }
  void add(int64_t neuron, double from, double stretch, double potential, double current) {
    const size_t k = size_t(n++);
    id[k] = int32_t(neuron), at[k] = from, left[k] = stretch, v[k] = potential, i[k] = current;
  }
};

// The spikes of all that are ready, and of those once more that may fire again; end(neuron, V, I) takes where one that
// fired is at the end of its stretch.
template <class End> void settle(const Leaks& k, Ready& ready, Fired& fired, End&& end) {
  using V = Vec<double>;
  while (ready.n && !fired.full()) {
    const int64_t n = std::exchange(ready.n, 0);
    std::fill_n(ready.i.begin() + n, wide, 0.0);  // they do not fire
    for (int64_t first = 0; first < n; first += wide) {
      const size_t b = size_t(first);
      const V at = load(&ready.at[b]), left = load(&ready.left[b]), i = load(&ready.i[b]);
      const V x = crossing(k, load(&ready.v[b]), i, left);
      uint64_t firing = bits(x >= 0);
      if (!firing) continue;
      const V current = i * decay(x < 0 ? V{} : x * k.rate_s), rest = left > x ? left - x : V{}, spike = at + x;
      const Flow<V> f = Flow<V>::of(k, rest);
      const V later = f.a * k.reset + f.b * current, decayed = f.s * current;
      const uint64_t again = bits((current > k.theta) & (k.reset + (current - k.reset) * k.rate_m * rest >= k.theta));
      for (; firing; firing &= firing - 1) {
        const int lane = __builtin_ctzll(firing);
        const int32_t id = ready.id[b + size_t(lane)];
        fired.add(spike[lane], id, current[lane]);
        end(id, later[lane], decayed[lane]);
        if (again >> lane & 1) ready.add(id, spike[lane], rest[lane], k.reset, current[lane]);
      }
    }
  }
}

// V and I over h ms without a threshold.
template <class Real> void drift(const Leaks& k, Neurons<Real>& x, double h) {
  if (!(h > 0)) return;
  const auto f = Flow<double>::of(k, h);
  const Vec<Real> a = splat(Real(f.a)), b = splat(Real(f.b)), s = splat(Real(f.s));
  for (int64_t i = 0; i < x.n; i += lanes<Real>) {
    Real *v = &x.first[size_t(i)], *c = &x.second[size_t(i)];
    store(v, a * load(v) + b * load(c)), store(c, s * load(c));
  }
}

// V and I from time t on over h ms, with the spikes.
template <class Real> void advance(const Leaks& k, Neurons<Real>& x, Ready& ready, Fired& fired, double t, double h) {
  if (!(h > 0)) return;
  const auto f = Flow<double>::of(k, h);
  const Vec<Real> a = splat(Real(f.a)), b = splat(Real(f.b)), s = splat(Real(f.s)), theta = splat(Real(k.theta));
  const Vec<Real> rise = splat(Real(1 - f.a)), by_m = splat(Real(k.rate_m)), by_s = splat(Real(k.rate_s));
  const Vec<Real> stretch = splat(Real(h)), almost = splat(Real(k.theta * (1 - 1e-6)));
  const int64_t before = fired.n;
  ready.n = 0;
  for (int64_t i = 0; i < x.n; i += lanes<Real>) {
    Real *v = &x.first[size_t(i)], *c = &x.second[size_t(i)];
    const Vec<Real> potential = load(v), current = load(c);
    const Vec<Real> later = a * potential + b * current, decayed = s * current;
    store(v, later), store(c, decayed);
    // It has crossed by the end; or its peak, where V = I, lies before the end, and the tangents at both ends meet above
    // the threshold. They are above V where it is bent downwards throughout, as it is if it is so at the end.
    const auto peak = (decayed < later) & (current > theta) & (potential + (current - potential) * rise >= theta);
    Mask<Real> ready_now = later >= theta;
    if (bits(peak)) {
      const Vec<Real> up = (current - potential) * by_m, down = (later - decayed) * by_m;
      const Vec<Real> meet = (later + down * stretch - potential) / (up + down);
      ready_now |= peak & ((potential + up * meet >= almost) | (down > decayed * by_s));
    }
    for (uint64_t left = bits(ready_now); left; left &= left - 1) {
      const int lane = __builtin_ctzll(left);
      ready.add(i + lane, t, h, potential[lane], current[lane]);
    }
  }
  settle(k, ready, fired, [&x](int64_t i, double v, double c) { x.first[size_t(i)] = Real(v), x.second[size_t(i)] = Real(c); });
  fired.sort_from(before);
}

template <class Real> void lif_events(const Input<Real>& in, const Leaks& k, Fired& fired, int64_t* counts) {
  Neurons<Real> x(in.n);
  Ready ready(in.n);
  for (int64_t b = 0; b < in.samples; b++) {
    double now = 0;
    x.clear();
    int64_t e = in.offsets[b], own = fired.begin = fired.n;
    while (now < in.stop && !fired.full()) {
      const double given = e < in.offsets[b + 1] ? in.time[e] : in.stop;
      const double back = in.lag > 0 && own < std::min(fired.n, fired.room) ? fired.time[own] + in.lag : in.stop;
      // In a loop no stretch is longer than the lag: what is sent in it does not arrive in it.
      const double next = std::min({given, back, in.lag > 0 ? now + in.lag : in.stop, in.stop});
      advance(k, x, ready, fired, now, next - now);
      now = next;
      if (now == in.stop) break;
      if (now == given) {
        for (; e < in.offsets[b + 1] && in.time[e] == now; e++) {
          x.add_row(x.second, in.w + in.id[e] * in.n, in.end());
        }
      } else if (now == back) x.add_row(x.second, in.w + (in.own() + fired.id[own++]) * in.n, in.end());
    }
    counts[b] = fired.n - fired.begin;
  }
}

// The same neurons without a threshold, seen at the end of each of n_steps steps of dt ms: v (n_steps, samples, n).
template <class Real> void leaky_events(const Input<Real>& in, const Leaks& k, int64_t n_steps, double dt, Real* v) {
  Neurons<Real> x(in.n);
  for (int64_t b = 0; b < in.samples; b++) {
    double now = 0;
    int64_t e = in.offsets[b];
    x.clear();
    for (int64_t step = 0; step < n_steps; step++) {
      const double end = double(step + 1) * dt;
      for (; e < in.offsets[b + 1] && in.time[e] < end; e++) {
        drift(k, x, in.time[e] - now);
        now = in.time[e], x.add_row(x.second, in.w + in.id[e] * in.n, in.end());
      }
      drift(k, x, end - now);
      now = end;
      std::copy_n(x.first.begin(), in.n, v + (step * in.samples + b) * in.n);
    }
  }
}

// P and Q back over h ms.
template <class V> SPIKELOOM_INLINE void retreat(const Leaks& k, V& p, V& q, V h) {
  const Flow<V> f = Flow<V>::of(k, h);
  q = f.b * p + f.s * q, p *= f.a;
}
template <class Real> void retreat(const Leaks& k, Neurons<Real>& x, double h) {
  if (!(h > 0)) return;
  const auto f = Flow<double>::of(k, h);
  const Vec<Real> a = splat(Real(f.a)), b = splat(Real(f.b)), s = splat(Real(f.s));
  for (int64_t i = 0; i < x.n; i += lanes<Real>) {
    Real *p = &x.first[size_t(i)], *q = &x.second[size_t(i)];
    const Vec<Real> dv = load(p), di = load(q);
    store(p, a * dv), store(q, b * dv + s * di);
  }
}

// dL/dV before a spike from that after it; g: dL/d(its time).
template <class V> SPIKELOOM_INLINE V before_spike(const Leaks& k, V p, V g, V current) {
  return ((current - k.reset) * p - g * k.tau_m) / (current - k.theta);
}

// The weights' gradient of an arrival.
template <class Real> void arrive(const Neurons<Real>& x, Real* grad, const Real* end) {
  for (int64_t i = 0; i < x.n; i += lanes<Real>) {
    const Vec<Real> q = load(&x.second[size_t(i)]);
    if (end - (grad + i) >= lanes<Real>) store(grad + i, load(grad + i) + q);  // behind the row it adds zeros
    else store_some(grad + i, load_some(grad + i, x.n - i) + q, x.n - i);
  }
}

// dL/d(time of an arrival) with these weights.
template <class Real> double slope(const Leaks& k, const Neurons<Real>& x, const Real* row, const Real* end) {
  const Vec<Real> by_s = splat(Real(k.rate_s)), by_m = splat(Real(k.rate_m));
  Vec<Real> sum{};
  for (int64_t i = 0; i < x.n; i += lanes<Real>) {
    sum += x.part(row, i, end) * (load(&x.second[size_t(i)]) * by_s - load(&x.first[size_t(i)]) * by_m);
  }
  double total = 0;
  for (int i = 0; i < lanes<Real>; i++) total += double(sum[i]);
  return total;
}

// The spikes of a layer with dL/d(their times); push (samples, n), or null: added to dL/dV at each spike.
struct Sent {
  const int64_t* offsets;
  const double* time;
  const int32_t* id;
  const double *current, *push;
  double* g;
};

// The neurons that fired since an arrival, each from its own time on back through its spikes, some at once.
class Apart {
 public:
  Apart(const Leaks& k, int64_t n) : k_(k), p_(size_t(n)), q_(size_t(n)), at_(size_t(n)), turn_(size_t(n), 0) {}

  // Goes back through the spike s of sample b; the neurons were at `now` with x.
  template <class Real> void spike(const Neurons<Real>& x, const Sent& sent, int64_t b, int64_t s, double now) {
    const size_t i = size_t(sent.id[s]);
    if (turn_[i] < turn_begin_) {
      p_[i] = double(x.first[i]), q_[i] = double(x.second[i]), at_[i] = now;
      touched_.push_back(int32_t(i));
    } else if (turn_[i] == now_turn_) {  // it is among those that wait
      flush(sent, b, x.n);
    }
    turn_[i] = now_turn_, waiting_[count_++] = s;
    if (count_ == wide) flush(sent, b, x.n);
  }

  // Brings all of them to the time of an arrival, and back among the others.
  template <class Real> void join(Neurons<Real>& x, const Sent& sent, int64_t b, double t) {
    if (count_) flush(sent, b, x.n);
    for (size_t first = 0; first < touched_.size(); first += wide) {
      Vec<double> p{}, q{}, h{};
      const int n = int(std::min<size_t>(wide, touched_.size() - first));
      for (int j = 0; j < n; j++) {
        const size_t i = size_t(touched_[first + size_t(j)]);
        p[j] = p_[i], q[j] = q_[i], h[j] = at_[i] - t;
      }
      retreat(k_, p, q, h);
      for (int j = 0; j < n; j++) {
        const size_t i = size_t(touched_[first + size_t(j)]);
        x.first[i] = Real(p[j]), x.second[i] = Real(q[j]);
      }
    }
    touched_.clear(), turn_begin_ = ++now_turn_;
  }

 private:
  void flush(const Sent& sent, int64_t b, int64_t n) {
    Vec<double> p{}, q{}, h{}, g{}, push{}, current = Vec<double>{} + (k_.theta + 1);
    for (int j = 0; j < count_; j++) {
      const int64_t s = waiting_[j];
      const size_t i = size_t(sent.id[s]);
      p[j] = p_[i], q[j] = q_[i], h[j] = at_[i] - sent.time[s], g[j] = sent.g[s], current[j] = sent.current[s];
      if (sent.push) push[j] = sent.push[b * n + int64_t(i)];
    }
    retreat(k_, p, q, h);
    p = before_spike(k_, p, g, current) + push;
    for (int j = 0; j < count_; j++) {
      const size_t i = size_t(sent.id[waiting_[j]]);
      p_[i] = p[j], q_[i] = q[j], at_[i] = sent.time[waiting_[j]];
    }
    count_ = 0, now_turn_++;
  }

  const Leaks& k_;
  std::vector<double> p_, q_, at_;
  std::vector<int64_t> turn_;
  std::vector<int32_t> touched_ = {};
  int64_t turn_begin_ = 1, now_turn_ = 1, waiting_[wide] = {};
  int count_ = 0;
};

// Adds to grad_w (rows, n), and writes dL/d(arrival times) to grad_time unless it is null; in a loop, g of a spike gets
// that of its arrival.
template <class Real>
void lif_events_back(const Input<Real>& in, const Leaks& k, const Sent& sent, Real* grad_w, double* grad_time) {
  Neurons<Real> x(in.n);
  Apart apart(k, in.n);
  for (int64_t b = 0; b < in.samples; b++) {
    const int64_t begin = in.offsets[b], first = sent.offsets[b];
    int64_t e = in.offsets[b + 1], spike = sent.offsets[b + 1], own = in.lag > 0 ? spike : first;
    while (e > begin && !(in.time[e - 1] < in.stop)) e--;
    while (own > first && !(sent.time[own - 1] + in.lag < in.stop)) own--;
    double now = in.stop;
    x.clear();
    while (e > begin || own > first) {
      const bool back = e == begin || (own > first && sent.time[own - 1] + in.lag > in.time[e - 1]);
      const double t = back ? sent.time[own - 1] + in.lag : in.time[e - 1];
      for (; spike > first && sent.time[spike - 1] > t; spike--) apart.spike(x, sent, b, spike - 1, now);
      retreat(k, x, now - t);
      apart.join(x, sent, b, t);
      now = t;
      const int64_t row = back ? in.own() + sent.id[--own] : in.id[--e];
      arrive(x, grad_w + row * in.n, grad_w + in.rows * in.n);
      if (back) sent.g[own] += slope(k, x, in.w + row * in.n, in.end());
      else if (grad_time) grad_time[e] = slope(k, x, in.w + row * in.n, in.end());
    }
  }
}

template <class Real>
void leaky_events_back(const Input<Real>& in, const Leaks& k, int64_t n_steps, double dt, const Real* grad_v,
                       Real* grad_w, double* grad_time) {
  Neurons<Real> x(in.n);
  const Real* end_v = grad_v + n_steps * in.samples * in.n;
  for (int64_t b = 0; b < in.samples; b++) {
    int64_t e = in.offsets[b + 1];
    double now = in.stop;
    while (e > in.offsets[b] && in.time[e - 1] >= double(n_steps) * dt) e--;
    x.clear();
    for (int64_t step = n_steps; step-- > 0;) {
      const double end = double(step + 1) * dt;
      retreat(k, x, now - end);
      now = end, x.add_row(x.first, grad_v + (step * in.samples + b) * in.n, end_v);
      for (; e > in.offsets[b] && in.time[e - 1] >= double(step) * dt; e--) {
        const int64_t row = in.id[e - 1] * in.n;
        retreat(k, x, now - in.time[e - 1]);
        now = in.time[e - 1];
        arrive(x, grad_w + row, grad_w + in.rows * in.n);
        if (grad_time) grad_time[e - 1] = slope(k, x, in.w + row, in.end());
      }
    }
  }
}

}  // namespace spikeloom

#include "event_delays.hpp"

namespace spikeloom {

// 1 where offsets do not rise from 0 to n_spikes, 2 where an id is none of n, 3 where times are not finite, from 0 on and
// sorted within each sample; else 0.
inline int64_t fault(int64_t samples, int64_t n_spikes, int64_t n, const int64_t* offsets, const double* time,
                     const int32_t* id) {
  if (offsets[0] != 0 || offsets[samples] != n_spikes) return 1;
  for (int64_t b = 0; b < samples; b++) {
    if (offsets[b + 1] < offsets[b]) return 1;
  }
  for (int64_t b = 0; b < samples; b++) {
    double last = 0;
    for (int64_t e = offsets[b]; e < offsets[b + 1]; last = time[e++]) {
      if (id[e] < 0 || id[e] >= n) return 2;
      if (!(time[e] >= last && time[e] < HUGE_VAL)) return 3;
    }
  }
  return 0;
}
template <class Real> int64_t fault(const Input<Real>& in) {
  return fault(in.samples, in.n_events, in.rows, in.offsets, in.time, in.id);
}

}  // namespace spikeloom

// bad: the `fault` of the arrivals, and of the spikes behind; where it is not 0 nothing else was done.
#define SPIKELOOM_EVENTPROP(Real, name)                                                                                \
  SPIKELOOM_EXPORT void lif_events_##name(const spikeloom::Input<Real>& in, int64_t* bad, double tau_m, double tau_s,  \
                                          double theta, double reset, double* spike_time, int32_t* spike_id,           \
                                          double* current, int64_t room, int64_t most, int64_t* counts) {              \
    if ((*bad = spikeloom::fault(in))) return;                                                                         \
    spikeloom::Fired fired{spike_time, spike_id, current, room, most};                                                 \
    const spikeloom::Leaks k{tau_m, tau_s, theta, reset};                                                              \
    in.late ? spikeloom::lif_delayed(in, k, fired, counts) : spikeloom::lif_events(in, k, fired, counts);              \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void lif_events_back_##name(                                                                        \
      const spikeloom::Input<Real>& in, int64_t* bad, double tau_m, double tau_s, double theta, double reset,          \
      const int64_t* spike_offsets, const double* spike_time, const int32_t* spike_id, int64_t n_spikes,               \
      const double* current, const double* push, double* g, Real* grad_w, double* grad_time, Real* grad_late) {        \
    if ((bad[0] = spikeloom::fault(in))) return;                                                                       \
    if ((bad[1] = spikeloom::fault(in.samples, n_spikes, in.n, spike_offsets, spike_time, spike_id))) return;          \
    const spikeloom::Leaks k{tau_m, tau_s, theta, reset};                                                              \
    const spikeloom::Sent sent{spike_offsets, spike_time, spike_id, current, push, g};                                 \
    in.late ? spikeloom::lif_delayed_back(in, k, sent, grad_w, grad_time, grad_late)                                   \
            : spikeloom::lif_events_back(in, k, sent, grad_w, grad_time);                                              \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void leaky_events_##name(const spikeloom::Input<Real>& in, int64_t* bad, double tau_m,              \
                                            double tau_s, int64_t n_steps, double dt, Real* v) {                       \
    if ((*bad = spikeloom::fault(in))) return;                                                                         \
    const spikeloom::Leaks k{tau_m, tau_s, HUGE_VAL, 0};                                                               \
    in.late ? spikeloom::leaky_delayed(in, k, n_steps, dt, v) : spikeloom::leaky_events(in, k, n_steps, dt, v);        \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void leaky_events_back_##name(const spikeloom::Input<Real>& in, int64_t* bad, double tau_m,         \
                                                 double tau_s, int64_t n_steps, double dt, const Real* grad_v,         \
                                                 Real* grad_w, double* grad_time, Real* grad_late) {                   \
    if ((*bad = spikeloom::fault(in))) return;                                                                         \
    const spikeloom::Leaks k{tau_m, tau_s, HUGE_VAL, 0};                                                               \
    in.late ? spikeloom::leaky_delayed_back(in, k, n_steps, dt, grad_v, grad_w, grad_time, grad_late)                  \
            : spikeloom::leaky_events_back(in, k, n_steps, dt, grad_v, grad_w, grad_time);                             \
  }
SPIKELOOM_EVENTPROP(float, f32)
SPIKELOOM_EVENTPROP(double, f64)
