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

struct Spike {
  double time, current;
  int32_t id;
};

// Sorts the spikes of a sample from the first-th on by time, then by neuron.
inline void sort_from(std::vector<Spike>& spikes, size_t first) {
  if (spikes.size() < first + 2) return;
  std::sort(spikes.begin() + int64_t(first), spikes.end(), [](const Spike& a, const Spike& b) {
    return a.time < b.time || (a.time == b.time && a.id < b.id);
  });
}

// Where the spikes go, sample after sample: of those beyond `room` only the number is kept, in offsets (samples + 1,). A
// sample ends when it has more than `most`.
struct Fired {
  double* time;
  int32_t* id;
  double* current;
  int64_t* offsets;
  int64_t room, most, n = 0, sample = 0;
  bool full(const std::vector<Spike>& spikes) const { return int64_t(spikes.size()) > most; }
  void take(const std::vector<Spike>& spikes) {
    for (const Spike& s : spikes) {
      if (n < room) time[n] = s.time, id[n] = s.id, current[n] = s.current;
      n++;
    }
    offsets[++sample] = n;
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
  // The vector of the neurons from i on, which starts at `at` in an array that ends at `end`.
  Vec<Real> part(const Real* at, int64_t i, const Real* end) const {
    if (n - i >= lanes<Real>) return load(at);
    if (end - at < lanes<Real>) return load_some(at, n - i);
    return (Vec<Real>)((Mask<Real>)load(at) & inside);
  }
  void add_row(std::vector<Real>& to, const Real* row, const Real* end) {
    for (int64_t i = 0; i < n; i += lanes<Real>) store(&to[size_t(i)], load(&to[size_t(i)]) + part(row + i, i, end));
  }
};

// Neurons of some samples that may reach the threshold in a stretch of time: from when on, how long it lasts, V and I.
struct Ready {
  std::vector<double> at, left, v, i;
  std::vector<int32_t> sample, id;
  int64_t n = 0;
  explicit Ready(int64_t most) : sample(size_t(most + wide)), id(size_t(most + wide)) {
    for (auto* part : {&at, &left, &v, &i}) part->resize(size_t(most + wide));
  }
  void add(int64_t of, int64_t neuron, double from, double stretch, double potential, double current) {
    const size_t k = size_t(n++);
    sample[k] = int32_t(of), id[k] = int32_t(neuron), at[k] = from, left[k] = stretch, v[k] = potential, i[k] = current;
  }
};

// The spikes of all that are ready, and of those once more that may fire again. fire(sample, id, time, current, V, I)
// takes a spike, and where its neuron is at the end of the stretch; whether the neuron may go on.
template <class Fire> void settle(const Leaks& k, Ready& ready, Fire&& fire) {
  using V = Vec<double>;
  while (ready.n) {
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
        const int32_t sample = ready.sample[b + size_t(lane)], id = ready.id[b + size_t(lane)];
        const bool on = fire(sample, id, spike[lane], current[lane], later[lane], decayed[lane]);
        if (on && (again >> lane & 1)) ready.add(sample, id, spike[lane], rest[lane], k.reset, current[lane]);
      }
    }
  }
}

// A sample on its way: where its neurons are, what has arrived, what they sent; next: when it is looked at again.
template <class Real> struct Sample {
  Neurons<Real> x;
  std::vector<Spike> spikes = {};
  int64_t e = 0, end = 0;
  size_t own = 0, sorted = 0;
  double now = 0, next = 0;

  void start(int64_t first, int64_t last) {
    x.clear(), spikes.clear(), spikes.reserve(64);
    e = first, end = last, own = sorted = 0, now = 0;
  }
  double given(const Input<Real>& in) const { return e < end ? in.time[e] : in.stop; }
  double back(const Input<Real>& in) const {
    return in.lag > 0 && own < spikes.size() ? spikes[own].time + in.lag : in.stop;
  }
  // In a loop no stretch is longer than the lag: what is sent in it does not arrive in it.
  void look(const Input<Real>& in) {
    next = std::min({given(in), back(in), in.lag > 0 ? now + in.lag : in.stop, in.stop});
  }
  // What arrives at the end of a stretch.
  void arrive(const Input<Real>& in) {
    sort_from(spikes, sorted), sorted = spikes.size();
    now = next;
    if (now == in.stop) return;
    if (now == given(in)) {
      for (; e < end && in.time[e] == now; e++) {
        x.add_row(x.second, in.w + in.id[e] * in.n, in.end());
      }
    } else if (now == back(in)) x.add_row(x.second, in.w + (in.own() + spikes[own++].id) * in.n, in.end());
  }
};

// V and I over h ms as if nobody fired.
template <class Real> void flow(const Leaks& k, Neurons<Real>& x, double h) {
  const auto f = Flow<double>::of(k, h);
  const Vec<Real> a = splat(Real(f.a)), b = splat(Real(f.b)), s = splat(Real(f.s));
  for (int64_t i = 0; i < x.n; i += lanes<Real>) {
    Real *v = &x.first[size_t(i)], *c = &x.second[size_t(i)];
    const Vec<Real> current = load(c);
    store(v, a * load(v) + b * current), store(c, s * current);
  }
}

// The same from time t on; those of sample j that may fire, which they do within `reach`, are ready.
template <class Real> void advance(const Leaks& k, Neurons<Real>& x, Ready& ready, int64_t j, double t, double whole) {
  const double h = std::min(whole, k.reach);
  if (!(h > 0)) return;
  const auto f = Flow<double>::of(k, h);
  const Vec<Real> a = splat(Real(f.a)), b = splat(Real(f.b)), s = splat(Real(f.s)), theta = splat(Real(k.theta));
  const Vec<Real> rise = splat(Real(1 - f.a)), by_m = splat(Real(k.rate_m)), by_s = splat(Real(k.rate_s));
  const Vec<Real> stretch = splat(Real(h)), almost = splat(Real(k.theta * (1 - 1e-6)));
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
      ready.add(j, i + lane, t, whole, potential[lane], current[lane]);
    }
  }
  if (whole > h) flow(k, x, whole - h);
}

// How many samples go on at once, so that the vectors of their neurons that fire are full.
template <class Real> int64_t at_once(const Input<Real>& in) {
  return std::max<int64_t>(1, std::min<int64_t>(in.samples, 1024 / std::max<int64_t>(1, in.n)));
}

template <class Real> void lif_events(const Input<Real>& in, const Leaks& k, Fired& fired) {
  const int64_t n_at_once = at_once(in);
  std::vector<Sample<Real>> all(size_t(n_at_once), Sample<Real>{Neurons<Real>(in.n)});
  Ready ready(n_at_once * in.n);
  const auto fire = [&](int32_t j, int32_t id, double t, double current, double v, double i) {
    Sample<Real>& s = all[size_t(j)];
    s.x.first[size_t(id)] = Real(v), s.x.second[size_t(id)] = Real(i), s.spikes.push_back({t, current, id});
    return !fired.full(s.spikes);
  };
  for (int64_t b = 0; b < in.samples; b += n_at_once) {
    const int64_t n = std::min(n_at_once, in.samples - b);
    for (int64_t j = 0; j < n; j++) all[size_t(j)].start(in.offsets[b + j], in.offsets[b + j + 1]);
    const auto each_open = [&](auto&& what) {
      bool any = false;
      for (int64_t j = 0; j < n; j++) {
        if (Sample<Real>& s = all[size_t(j)]; s.now < in.stop && !fired.full(s.spikes)) what(s, j), any = true;
      }
      return any;
    };
    const auto go = [&](Sample<Real>& s, int64_t j) {
      s.look(in), advance(k, s.x, ready, j, s.now, s.next - s.now);
    };
    while (each_open(go)) {
      settle(k, ready, fire);
      each_open([&](Sample<Real>& s, int64_t) { s.arrive(in); });
    }
    for (int64_t j = 0; j < n; j++) fired.take(all[size_t(j)].spikes);
  }
}

// The arrivals of a sample at neurons without a threshold, which are seen at the end of each of n_steps steps of dt ms:
// arrival e of step t, first[t] <= e < first[t + 1], does V += b[e] w, I += s[e] w at the end of its step; a: what a
// potential would keep until then.
struct ToEnds {
  std::vector<int64_t> first;
  std::vector<double> left, a, b, s;

  template <class Real> void of(const Input<Real>& in, const Leaks& k, int64_t sample, int64_t n_steps, double dt) {
    const int64_t begin = in.offsets[sample], end = in.offsets[sample + 1];
    const size_t room = size_t(end - begin + wide);
    for (auto* part : {&left, &a, &b, &s}) part->resize(room);
    first.clear();
    int64_t e = begin;
    for (int64_t step = 0; step < n_steps; step++) {
      first.push_back(e);
      for (const double last = double(step + 1) * dt; e < end && in.time[e] < last; e++) {
        left[size_t(e - begin)] = last - in.time[e];
      }
    }
    first.push_back(e);
    std::fill_n(left.begin() + (e - begin), wide, 0.0);
    for (int64_t j = 0; j < e - begin; j += wide) {
      const auto f = Flow<Vec<double>>::of(k, load(&left[size_t(j)]));
      store(&a[size_t(j)], f.a), store(&b[size_t(j)], f.b), store(&s[size_t(j)], f.s);
    }
  }
};

// The same neurons without a threshold, v (n_steps, samples, n): gain V at the end of each step.
template <class Real>
void leaky_events(const Input<Real>& in, const Leaks& k, double gain, int64_t n_steps, double dt, Real* v) {
  Neurons<Real> x(in.n);
  ToEnds ends;
  const auto f = Flow<double>::of(k, dt);
  const Vec<Real> a = splat(Real(f.a)), b = splat(Real(f.b)), s = splat(Real(f.s)), lift = splat(Real(gain));
  std::vector<Real> seen(size_t(in.n + lanes<Real>));
  for (int64_t sample = 0; sample < in.samples; sample++) {
    ends.of(in, k, sample, n_steps, dt), x.clear();
    for (int64_t step = 0; step < n_steps; step++) {
      for (int64_t i = 0; i < in.n; i += lanes<Real>) {
        const Vec<Real> potential = load(&x.first[size_t(i)]), current = load(&x.second[size_t(i)]);
        Vec<Real> later = a * potential + b * current, decayed = s * current;
        for (int64_t e = ends.first[size_t(step)]; e < ends.first[size_t(step) + 1]; e++) {
          const size_t j = size_t(e - in.offsets[sample]);
          const Vec<Real> w = x.part(in.w + in.id[e] * in.n + i, i, in.end());
          later += splat(Real(ends.b[j])) * w, decayed += splat(Real(ends.s[j])) * w;
        }
        store(&x.first[size_t(i)], later), store(&x.second[size_t(i)], decayed), store(&seen[size_t(i)], lift * later);
      }
      std::copy_n(seen.begin(), in.n, v + (step * in.samples + sample) * in.n);
    }
  }
}

// P and Q back over h ms.
template <class V> SPIKELOOM_INLINE void retreat(const Leaks& k, V& p, V& q, V h) {
  const Flow<V> f = Flow<V>::of(k, h);
  q = f.b * p + f.s * q, p *= f.a;
}
template <class Real> void retreat(const Flow<double>& f, Neurons<Real>& x) {
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

// The gradient of the weights of an arrival from neuron i on.
template <class Real> SPIKELOOM_INLINE void arrive(int64_t n, int64_t i, Vec<Real> q, Real* grad, const Real* end) {
  if (end - (grad + i) >= lanes<Real>) store(grad + i, load(grad + i) + q);  // behind the row it adds zeros
  else store_some(grad + i, load_some(grad + i, n - i) + q, n - i);
}

// The sum of the lanes, in pairs.
template <int half, class Real> SPIKELOOM_INLINE Real total(Real* part) {
  for (int i = 0; i < half; i++) part[i] += part[i + half];
  if constexpr (half > 1) return total<half / 2>(part);
  return part[0];
}
template <class Real> SPIKELOOM_INLINE double total(Vec<Real> v) {
  Real part[lanes<Real>];
  store(part, v);
  return double(total<lanes<Real> / 2>(part));
}

// dL/d(time of an arrival) with these weights.
template <class Real> double slope(const Leaks& k, const Neurons<Real>& x, const Real* row, const Real* end) {
  const Vec<Real> by_s = splat(Real(k.rate_s)), by_m = splat(Real(k.rate_m));
  Vec<Real> sum{};
  for (int64_t i = 0; i < x.n; i += lanes<Real>) {
    sum += x.part(row + i, i, end) * (load(&x.second[size_t(i)]) * by_s - load(&x.first[size_t(i)]) * by_m);
  }
  return total<Real>(sum);
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
      if (t < now) retreat(Flow<double>::of(k, now - t), x);
      apart.join(x, sent, b, t);
      now = t;
      do {
        const int64_t row = back ? in.own() + sent.id[--own] : in.id[--e];
        for (int64_t i = 0; i < in.n; i += lanes<Real>) {
          arrive(in.n, i, load(&x.second[size_t(i)]), grad_w + row * in.n, grad_w + in.rows * in.n);
        }
        if (back) sent.g[own] += slope(k, x, in.w + row * in.n, in.end());
        else if (grad_time) grad_time[e] = slope(k, x, in.w + row * in.n, in.end());
      } while (!back && e > begin && in.time[e - 1] == t);
    }
  }
}

// grad_v (n_steps, samples, n): dL/d(gain V) at the end of each step.
template <class Real>
void leaky_events_back(const Input<Real>& in, const Leaks& k, double gain, int64_t n_steps, double dt,
                       const Real* grad_v, Real* grad_w, double* grad_time) {
  Neurons<Real> x(in.n);
  ToEnds ends;
  const auto whole = Flow<double>::of(k, dt);
  const Vec<Real> lift = splat(Real(gain)), by_s = splat(Real(k.rate_s)), by_m = splat(Real(k.rate_m));
  const Real *end_v = grad_v + n_steps * in.samples * in.n, *end = grad_w + in.rows * in.n;
  for (int64_t sample = 0; sample < in.samples; sample++) {
    ends.of(in, k, sample, n_steps, dt), x.clear();
    for (int64_t step = n_steps; step-- > 0;) {
      const Real* seen = grad_v + (step * in.samples + sample) * in.n;
      for (int64_t i = 0; i < in.n; i += lanes<Real>) {
        store(&x.first[size_t(i)], load(&x.first[size_t(i)]) + lift * x.part(seen + i, i, end_v));
      }
      for (int64_t e = ends.first[size_t(step)]; e < ends.first[size_t(step) + 1]; e++) {
        const size_t j = size_t(e - in.offsets[sample]);
        const Vec<Real> a = splat(Real(ends.a[j])), b = splat(Real(ends.b[j])), s = splat(Real(ends.s[j]));
        const int64_t row = in.id[e] * in.n;
        Vec<Real> sum{};
        for (int64_t i = 0; i < in.n; i += lanes<Real>) {
          const Vec<Real> p = load(&x.first[size_t(i)]), q = b * p + s * load(&x.second[size_t(i)]);
          arrive(in.n, i, q, grad_w + row, end);
          if (grad_time) sum += x.part(in.w + row + i, i, in.end()) * (q * by_s - a * p * by_m);
        }
        if (grad_time) grad_time[e] = total<Real>(sum);
      }
      retreat(whole, x);
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
  int wrong = 0;  // without a way out of the loops, which are then done by vectors
  for (int64_t e = 0; e < n_spikes; e++) wrong |= (id[e] < 0) | (id[e] >= n);
  if (wrong) return 2;
  for (int64_t b = 0; b < samples; b++) {
    const int64_t begin = offsets[b], end = offsets[b + 1];
    if (begin < end) wrong |= !(time[begin] >= 0) | !(time[end - 1] < HUGE_VAL);
    for (int64_t e = begin + 1; e < end; e++) wrong |= !(time[e] >= time[e - 1]);
  }
  return wrong ? 3 : 0;
}
template <class Real> int64_t fault(const Input<Real>& in) {
  return fault(in.samples, in.n_events, in.rows, in.offsets, in.time, in.id);
}

}  // namespace spikeloom

// bad: the `fault` of the arrivals, and of the spikes behind; where it is not 0 nothing else was done.
#define SPIKELOOM_EVENTPROP(Real, name)                                                                                \
  SPIKELOOM_EXPORT void lif_events_##name(const spikeloom::Input<Real>& in, int64_t* bad, double tau_m, double tau_s,  \
                                          double theta, double reset, double* spike_time, int32_t* spike_id,           \
                                          double* current, int64_t* offsets, int64_t room, int64_t most) {             \
    if ((*bad = spikeloom::fault(in))) return;                                                                         \
    spikeloom::Fired fired{spike_time, spike_id, current, offsets, room, most};                                        \
    const spikeloom::FlushDenormals flush;                                                                             \
    const spikeloom::Leaks k{tau_m, tau_s, theta, reset};                                                              \
    in.late ? spikeloom::lif_delayed(in, k, fired) : spikeloom::lif_events(in, k, fired);                              \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void lif_events_back_##name(                                                                        \
      const spikeloom::Input<Real>& in, int64_t* bad, double tau_m, double tau_s, double theta, double reset,          \
      const int64_t* spike_offsets, const double* spike_time, const int32_t* spike_id, int64_t n_spikes,               \
      const double* current, const double* push, double* g, Real* grad_w, double* grad_time, Real* grad_late) {        \
    if ((bad[0] = spikeloom::fault(in))) return;                                                                       \
    if ((bad[1] = spikeloom::fault(in.samples, n_spikes, in.n, spike_offsets, spike_time, spike_id))) return;          \
    const spikeloom::FlushDenormals flush;                                                                             \
    const spikeloom::Leaks k{tau_m, tau_s, theta, reset};                                                              \
    const spikeloom::Sent sent{spike_offsets, spike_time, spike_id, current, push, g};                                 \
    in.late ? spikeloom::lif_delayed_back(in, k, sent, grad_w, grad_time, grad_late)                                   \
            : spikeloom::lif_events_back(in, k, sent, grad_w, grad_time);                                              \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void leaky_events_##name(const spikeloom::Input<Real>& in, int64_t* bad, double tau_m,              \
                                            double tau_s, double gain, int64_t n_steps, double dt, Real* v) {          \
    if ((*bad = spikeloom::fault(in))) return;                                                                         \
    const spikeloom::FlushDenormals flush;                                                                             \
    const spikeloom::Leaks k{tau_m, tau_s, HUGE_VAL, 0};                                                               \
    in.late ? spikeloom::leaky_delayed(in, k, gain, n_steps, dt, v)                                                    \
            : spikeloom::leaky_events(in, k, gain, n_steps, dt, v);                                                    \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void leaky_events_back_##name(                                                                      \
      const spikeloom::Input<Real>& in, int64_t* bad, double tau_m, double tau_s, double gain, int64_t n_steps,        \
      double dt, const Real* grad_v, Real* grad_w, double* grad_time, Real* grad_late) {                               \
    if ((*bad = spikeloom::fault(in))) return;                                                                         \
    const spikeloom::FlushDenormals flush;                                                                             \
    const spikeloom::Leaks k{tau_m, tau_s, HUGE_VAL, 0};                                                               \
    in.late ? spikeloom::leaky_delayed_back(in, k, gain, n_steps, dt, grad_v, grad_w, grad_time, grad_late)            \
            : spikeloom::leaky_events_back(in, k, gain, n_steps, dt, grad_v, grad_w, grad_time);                       \
  }
SPIKELOOM_EVENTPROP(float, f32)
SPIKELOOM_EVENTPROP(double, f64)
