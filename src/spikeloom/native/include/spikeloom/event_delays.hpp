// The same neurons where each synapse has a delay of its own: neuron after neuron, its arrivals sorted by time.
#pragma once

#include "eventprop.hpp"

namespace spikeloom {

// What arrives at one neuron in one sample, sorted by time; event: its number among those of the input.
struct Arrival {
  double time;
  int64_t event;
};

template <class Real> void gather(const Input<Real>& in, int64_t b, int64_t j, std::vector<Arrival>& found) {
  found.clear();
  for (int64_t e = in.offsets[b]; e < in.offsets[b + 1]; e++) {
    const double t = in.time[e] + double(in.late[in.id[e] * in.n + j]);
    if (t < in.stop) found.push_back({t, e});
  }
  std::sort(found.begin(), found.end(), [](const Arrival& a, const Arrival& b) {
    return a.time < b.time || (a.time == b.time && a.event < b.event);
  });
}

template <class Real> void lif_delayed(const Input<Real>& in, const Leaks& k, Fired& fired) {
  std::vector<Arrival> arrivals;
  std::vector<Spike> spikes;
  Ready ready(1);
  for (int64_t b = 0; b < in.samples; b++) {
    spikes.clear();
    for (int64_t j = 0; j < in.n && !fired.full(spikes); j++) {
      gather(in, b, j, arrivals);
      double now = 0, v = 0, i = 0;
      for (size_t a = 0; a <= arrivals.size(); a++) {
        const double next = a < arrivals.size() ? arrivals[a].time : in.stop;
        const auto f = Flow<double>::of(k, next - now);
        const double v0 = v, i0 = i;
        v = f.a * v0 + f.b * i0, i = f.s * i0;
        if (i0 > k.theta && v0 + (i0 - v0) * (1 - f.a) >= k.theta) {
          ready.add(b, j, now, next - now, v0, i0);
          settle(k, ready, [&](int32_t, int32_t id, double t, double current, double later, double decayed) {
            spikes.push_back({t, current, id}), v = later, i = decayed;
            return !fired.full(spikes);
          });
        }
        now = next;
        if (a < arrivals.size()) i += double(in.w[in.id[arrivals[a].event] * in.n + j]);
      }
    }
    sort_from(spikes, 0), fired.take(spikes);
  }
}

// The gradients of one arrival of neuron j.
template <class Real>
void arrive(const Input<Real>& in, const Leaks& k, int64_t j, int64_t event, double p, double q, Real* grad_w,
            double* grad_time, Real* grad_late) {
  const int64_t synapse = in.id[event] * in.n + j;
  const double slope = double(in.w[synapse]) * (q * k.rate_s - p * k.rate_m);
  grad_w[synapse] += Real(q), grad_late[synapse] += Real(slope);
  if (grad_time) grad_time[event] += slope;
}

template <class Real>
void lif_delayed_back(const Input<Real>& in, const Leaks& k, const Sent& sent, Real* grad_w, double* grad_time,
                      Real* grad_late) {
  std::vector<Arrival> arrivals;
  std::vector<std::vector<int64_t>> spikes(size_t(in.n));
  for (int64_t b = 0; b < in.samples; b++) {
    for (auto& own : spikes) own.clear();
    for (int64_t s = sent.offsets[b]; s < sent.offsets[b + 1]; s++) spikes[size_t(sent.id[s])].push_back(s);
    for (int64_t j = 0; j < in.n; j++) {
      gather(in, b, j, arrivals);
      auto& own = spikes[size_t(j)];
      double now = in.stop, p = 0, q = 0;
      for (size_t a = arrivals.size(); a-- > 0;) {
        for (; !own.empty() && sent.time[own.back()] > arrivals[a].time; own.pop_back()) {
          const int64_t s = own.back();
          retreat(k, p, q, now - sent.time[s]);
          now = sent.time[s];
          p = before_spike(k, p, sent.g[s], sent.current[s]) + (sent.push ? sent.push[b * in.n + j] : 0);
        }
        retreat(k, p, q, now - arrivals[a].time);
        now = arrivals[a].time;
        arrive(in, k, j, arrivals[a].event, p, q, grad_w, grad_time, grad_late);
      }
    }
  }
}

template <class Real>
void leaky_delayed(const Input<Real>& in, const Leaks& k, double gain, int64_t n_steps, double dt, Real* v) {
  std::vector<Arrival> arrivals;
  for (int64_t b = 0; b < in.samples; b++) {
    for (int64_t j = 0; j < in.n; j++) {
      gather(in, b, j, arrivals);
      double now = 0, u = 0, i = 0;
      const auto go = [&](double t) {
        const auto f = Flow<double>::of(k, t - now);
        u = f.a * u + f.b * i, i *= f.s, now = t;
      };
      size_t a = 0;
      for (int64_t step = 0; step < n_steps; step++) {
        const double end = double(step + 1) * dt;
        for (; a < arrivals.size() && arrivals[a].time < end; a++) {
          go(arrivals[a].time);
          i += double(in.w[in.id[arrivals[a].event] * in.n + j]);
        }
        go(end);
        v[(step * in.samples + b) * in.n + j] = Real(gain * u);
      }
    }
  }
}

template <class Real>
void leaky_delayed_back(const Input<Real>& in, const Leaks& k, double gain, int64_t n_steps, double dt,
                        const Real* grad_v, Real* grad_w, double* grad_time, Real* grad_late) {
  std::vector<Arrival> arrivals;
  for (int64_t b = 0; b < in.samples; b++) {
    for (int64_t j = 0; j < in.n; j++) {
      gather(in, b, j, arrivals);
      double now = in.stop, p = 0, q = 0;
      size_t a = arrivals.size();
      for (int64_t step = n_steps; step-- > 0;) {
        const double begin = double(step) * dt, end = double(step + 1) * dt;
        retreat(k, p, q, now - end);
        now = end, p += gain * double(grad_v[(step * in.samples + b) * in.n + j]);
        for (; a > 0 && arrivals[a - 1].time >= begin; a--) {
          retreat(k, p, q, now - arrivals[a - 1].time);
          now = arrivals[a - 1].time;
          arrive(in, k, j, arrivals[a - 1].event, p, q, grad_w, grad_time, grad_late);
        }
      }
    }
  }
}

}  // namespace spikeloom
