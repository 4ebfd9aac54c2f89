// One plastic connection and the neurons behind it, B = 1, over a window of steps, in place. F is a neuron's functor;
// the connection is its inlet 0.
//
// Order of a step: deliver, integrate, emit, reset; changes at pre spikes, changes at post spikes, traces, threshold,
// normalisation. Time is outermost: all neurons have emitted before the first weight changes.
//
// Weights lie as [tile][pre][width], a tile being as many neurons as fill a cache line. A pre spike is one row of every
// tile, added and changed as vectors. A post spike is one lane of its tile: the tile is swept once, whichever of its
// neurons fired, and the other lanes are masked.
#pragma once

#include "simd.hpp"

namespace spikeloom::plastic {

template <class Real> constexpr int width = 64 / int(sizeof(Real));
template <class Real> constexpr int word_tiles = 64 / width<Real>;
constexpr int vectors = 64 / vector_bytes;

// A low-pass filtered spike train. A spike adds the gain, or sets the trace to it (nearest). The changes of a step read
// it as it was before the step, or (before = 1) as it is with the step's decay and spikes.
template <class Real> struct Trace {
  Real* value;
  const Real *decay, *gain;
  int64_t nearest, before;
};

// What a spike does to a weight: amount (trace - offset) room^mu, room being the distance to the bound that a change of
// the amount's sign tends to.
struct Change {
  double amount, offset, mu;
};

// Arrays over pre neurons are padded to whole cache lines, those over post neurons to whole words. begin, end: the
// words of 64 post neurons to work on; ranges share nothing but the pre trace and `scaled`, of which each has its own.
template <class Real> struct Window {
  int64_t n_steps, n_pre, n_post, begin, end;
  int64_t moved;                   // the coefficient that theta is added to
  int64_t every, done, at_end;     // normalise each `every` steps (0: never) counted from `done`; after the last step
  const int64_t* start;            // [n_steps + 1], where a step's pre spikes begin in ids
  const int32_t* ids;              // ascending within a step
  const double* modulator;         // [n_steps], or null for 1
  const uint64_t* last;            // [word], who fired in the step before the window
  const Real* current;             // what else comes in: [n_steps][inlet][post], or null
  const Real* coefficients;        // [tile][coefficient][width]
  Real *state, *weights, *scaled;  // [tile][state][width], [tile][pre][width], [pre]
  uint64_t* bits;                  // [n_steps][word]
  Trace<Real> pre, post, theta;    // theta.value is null where no threshold moves
  Change at_pre, at_post;
  double w_min, w_max, total, inhibition;  // what a spike takes from the next input of every other neuron
};

// The bounds of the weights, and how a change depends on them.
template <class Real> struct Limits {
  Vec<Real> lower, upper;
  Real mu;
  bool up;
};
enum class Room { none, linear, power };

template <class Real> SPIKELOOM_INLINE Limits<Real> limits(const Window<Real>& p, const Change& change) {
  return {splat(Real(p.w_min)), splat(Real(p.w_max)), Real(change.mu), change.amount > 0};
}

template <class Real> SPIKELOOM_INLINE Vec<Real> clipped(Vec<Real> w, const Limits<Real>& l) {
  w = w < l.lower ? l.lower : w;
  return w > l.upper ? l.upper : w;
}

// Weights after a change, where the mask holds; elsewhere anything.
template <Room room, class Real>
SPIKELOOM_INLINE Vec<Real> changed(Vec<Real> w, Vec<Real> change, Mask<Real> mask, const Limits<Real>& l) {
  if (room != Room::none) {
    Vec<Real> left = l.up ? l.upper - w : w - l.lower;
    if (room == Room::power)
      for (int i = 0; i < lanes<Real>; i++)
        if (mask[i]) left[i] = std::pow(left[i], l.mu);
    change *= left;
  }
  return clipped<Real>(w + change, l);
}

// The lanes whose bit is set.
template <class Real> SPIKELOOM_INLINE Mask<Real> mask_of(uint64_t fired) {
  Mask<Real> bit{};
  for (int i = 0; i < lanes<Real>; i++) bit[i] = Int<Real>(1) << i;
  return ((Mask<Real>{} + Int<Real>(fired)) & bit) != 0;
}

template <class Real> SPIKELOOM_INLINE void filter_pre(const Window<Real>& p, int64_t t) {
  const Trace<Real>& x = p.pre;
  for (int64_t k = 0; k < p.n_pre; k += lanes<Real>) store<Real>(x.value + k, load(x.decay + k) * load(x.value + k));
  for (int64_t e = p.start[t]; e < p.start[t + 1]; e++) {
    const int64_t k = p.ids[e];
    x.value[k] = x.nearest ? x.gain[k] : x.value[k] + x.gain[k];
  }
}

template <class Real> SPIKELOOM_INLINE void filter_post(const Trace<Real>& y, int64_t tile, uint64_t fired) {
  for (int z = 0; z < vectors; z++) {
    const int64_t at = tile * width<Real> + z * lanes<Real>;
    const Vec<Real> gain = load(y.gain + at), left = load(y.decay + at) * load(y.value + at);
    const Vec<Real> hit = y.nearest ? gain : left + gain;
    store<Real>(y.value + at, mask_of<Real>(fired >> (z * lanes<Real>)) ? hit : left);
  }
}

// The current of n tiles that follow each other: a row of each for every spike.
template <int n, class Real>
SPIKELOOM_INLINE void deliver(const Window<Real>& p, int64_t t, int64_t tile, Vec<Real>* sum) {
  const int64_t stride = p.n_pre * width<Real>;
  const Real* const weights = p.weights + tile * stride;
  Vec<Real> total[n * vectors] = {};
  for (int64_t e = p.start[t]; e < p.start[t + 1]; e++) {
    const Real* row = weights + int64_t(p.ids[e]) * width<Real>;
    for (int i = 0; i < n; i++)
      for (int z = 0; z < vectors; z++) total[i * vectors + z] += load(row + i * stride + z * lanes<Real>);
  }
  for (int i = 0; i < n * vectors; i++) sum[i] = total[i];
}

// Integrates, emits and resets a tile; the bits of those that fire.
template <class F, class Real>
SPIKELOOM_INLINE uint64_t emit(const Window<Real>& p, int64_t t, int64_t tile, const Vec<Real>* sum) {
  constexpr int S = F::states, X = F::inlets, C = F::coefficients;
  const int64_t padded = (p.n_post + 63) / 64 * 64, left = p.n_post - tile * width<Real>;
  uint64_t fired = 0;
  for (int z = 0; z < vectors; z++) {
    const int64_t lane = z * lanes<Real>, at = tile * width<Real> + lane;
    Vec<Real> s[S + 1], x[X + 1], c[C + 1], after[S + 1], keep[F::kept + 1], output;
    for (int k = 0; k < S; k++) s[k] = load(p.state + (tile * S + k) * width<Real> + lane);
    for (int k = 0; k < C; k++) {
      c[k] = load(p.coefficients + (tile * C + k) * width<Real> + lane);
      if (p.theta.value && k == p.moved) c[k] += load(p.theta.value + at);
    }
    for (int k = 0; k < X; k++) {
      x[k] = k == 0 ? sum[z] : Vec<Real>{};
      if (p.current) x[k] += load(p.current + (t * X + k) * padded + at);
    }
    fired |= bits(F::template forward<Real>(s, x, c, after, keep, output)) << lane;
    for (int k = 0; k < S; k++) store(p.state + (tile * S + k) * width<Real> + lane, after[k]);
  }
  return left < width<Real> ? fired & ((uint64_t(1) << left) - 1) : fired;
}

// Takes from the current of a tile what the spikes of all other neurons in the step before inhibit.
template <class Real> SPIKELOOM_INLINE void inhibit(const Window<Real>& p, int64_t n, uint64_t own, Vec<Real>* sum) {
  const Vec<Real> each = splat(Real(p.inhibition)), all = splat(Real(p.inhibition * double(n)));
  for (int z = 0; z < vectors; z++) sum[z] -= mask_of<Real>(own >> (z * lanes<Real>)) ? all - each : all;
}

template <class F, class Real>
SPIKELOOM_INLINE uint64_t emit_word(const Window<Real>& p, int64_t t, int64_t word, int64_t before) {
  constexpr int n = 8 / vectors, together = n < word_tiles<Real> ? n : word_tiles<Real>;
  uint64_t fired = 0;
  for (int i = 0; i < word_tiles<Real>; i += together) {
    const int64_t tile = word * word_tiles<Real> + i;
    if (tile * width<Real> >= p.n_post) break;
    Vec<Real> sum[together * vectors];
    deliver<together, Real>(p, t, tile, sum);
    if (before) {
      const uint64_t own = (t ? p.bits[(t - 1) * ((p.n_post + 63) / 64) + word] : p.last[word]) >> (i * width<Real>);
      for (int k = 0; k < together; k++) inhibit<Real>(p, before, own >> (k * width<Real>), sum + k * vectors);
    }
    for (int k = 0; k < together && (tile + k) * width<Real> < p.n_post; k++)
      fired |= emit<F, Real>(p, t, tile + k, sum + k * vectors) << ((i + k) * width<Real>);
  }
  return fired;
}

// The changes of a tile at the pre spikes of a step; none where its post traces change nothing.
template <Room room, class Real> void change_rows(const Window<Real>& p, int64_t t, int64_t tile, Real amount) {
  const Limits<Real> l = limits(p, p.at_pre);
  Vec<Real> change[vectors];
  Mask<Real> some{};
  for (int z = 0; z < vectors; z++) {
    change[z] = amount * (load(p.post.value + tile * width<Real> + z * lanes<Real>) - Real(p.at_pre.offset));
    some |= change[z] != 0;
  }
  if (!bits(some)) return;
  for (int64_t e = p.start[t]; e < p.start[t + 1]; e++) {
    Real* row = p.weights + (tile * p.n_pre + p.ids[e]) * width<Real>;
    for (int z = 0; z < vectors; z++, row += lanes<Real>)
      store<Real>(row, changed<room, Real>(load(row), change[z], ~Mask<Real>{}, l));
  }
}

// The changes of a tile at the post spikes of a step, by the scaled pre trace; neighbours whose traces are all 0, such
// as the dark border of a picture, are passed over.
template <Room room, class Real> void change_lanes(const Window<Real>& p, int64_t tile, uint64_t fired) {
  const Limits<Real> l = limits(p, p.at_post);
  for (int z = 0; z < vectors; z++) {
    const Mask<Real> mask = mask_of<Real>(fired >> (z * lanes<Real>));
    if (!bits(mask)) continue;
    Real* const first = p.weights + tile * p.n_pre * width<Real> + z * lanes<Real>;
    for (int64_t begin = 0; begin < p.n_pre; begin += lanes<Real>) {
      if (!bits(load(p.scaled + begin) != 0)) continue;
      const int64_t end = begin + lanes<Real> < p.n_pre ? begin + lanes<Real> : p.n_pre;
      for (int64_t k = begin; k < end; k++) {
        const Vec<Real> before = load(first + k * width<Real>), change = splat(p.scaled[k]);
        store<Real>(first + k * width<Real>, mask ? changed<room, Real>(before, change, mask, l) : before);
      }
    }
  }
}

// The sum of magnitudes that arrives at each neuron of a tile; several sums at once where a tile is few vectors,
// so that an addition need not wait for the one before.
template <class Real> SPIKELOOM_INLINE void sum_magnitudes(const Real* row, int64_t n, Vec<Real>* all) {
  constexpr int U = 4 / vectors;
  Vec<Real> sum[U][vectors] = {};
  const auto add = [&](int u) {
    for (int z = 0; z < vectors; z++, row += lanes<Real>) {
      const Vec<Real> w = load(row);
      sum[u][z] += w < 0 ? -w : w;
    }
  };
  int64_t k = 0;
  for (; k + U <= n; k += U)
    for (int u = 0; u < U; u++) add(u);
  for (; k < n; k++) add(0);
  for (int z = 0; z < vectors; z++) {
    all[z] = sum[0][z];
    for (int u = 1; u < U; u++) all[z] += sum[u][z];
  }
}

// Scales what arrives at each neuron of a tile to a sum of magnitudes; nothing where nothing arrives.
template <class Real> void normalise(const Window<Real>& p, int64_t tile) {
  const Limits<Real> l = limits(p, p.at_pre);
  const Vec<Real> one = splat(Real(1));
  Real* const row = p.weights + tile * p.n_pre * width<Real>;
  Vec<Real> factor[vectors];
  sum_magnitudes<Real>(row, p.n_pre, factor);
  const Vec<Real> silent = splat(Real(p.total * 1e-30));  // as SILENT of the pair rule
  for (int z = 0; z < vectors; z++)
    factor[z] = factor[z] > silent ? Real(p.total) / (factor[z] > silent ? factor[z] : one) : one;
  for (int64_t k = p.n_pre - 1; k >= 0; k--)  // from the end, which the sum left in the cache
    for (int z = 0; z < vectors; z++) {
      Real* const w = row + k * width<Real> + z * lanes<Real>;
      store<Real>(w, clipped<Real>(load(w) * factor[z], l));
    }
}

// The body with the kind of dependence that an exponent asks for.
template <class Body> SPIKELOOM_INLINE void with_room(double mu, Body body) {
  if (mu == 0)
    body(std::integral_constant<Room, Room::none>{});
  else if (mu == 1)
    body(std::integral_constant<Room, Room::linear>{});
  else
    body(std::integral_constant<Room, Room::power>{});
}

template <class F, class Real> void step(const Window<Real>& p, int64_t t) {
  const int64_t words = (p.n_post + 63) / 64;
  uint64_t *const fired = p.bits + t * words, any = 0;
  int64_t before = 0;  // how many fired in the last step, where they inhibit; then one range has all words
  if (p.inhibition != 0)
    for (int64_t word = 0; word < words; word++) before += __builtin_popcountll(t ? fired[word - words] : p.last[word]);
  for (int64_t word = p.begin; word < p.end; word++) any |= fired[word] = emit_word<F, Real>(p, t, word, before);
  const double modulator = p.modulator ? p.modulator[t] : 1;
  const Real at_pre = Real(p.at_pre.amount * modulator), at_post = Real(p.at_post.amount * modulator);
  const bool due = (p.every && (p.done + t + 1) % p.every == 0) || (p.at_end && t + 1 == p.n_steps);
  if (p.pre.before) filter_pre(p, t);
  if (any && at_post != 0)
    for (int64_t k = 0; k < p.n_pre; k += lanes<Real>)
      store<Real>(p.scaled + k, at_post * (load(p.pre.value + k) - Real(p.at_post.offset)));
  const int64_t tiles = (p.n_post + width<Real> - 1) / width<Real>, end = p.end * word_tiles<Real>;
  for (int64_t tile = p.begin * word_tiles<Real>; tile < end && tile < tiles; tile++) {
    const int64_t place = tile % word_tiles<Real> * width<Real>;
    const uint64_t own = fired[tile / word_tiles<Real>] >> place & ((1 << width<Real>) - 1);
    if (p.post.before) filter_post(p.post, tile, own);
    if (at_pre != 0) with_room(p.at_pre.mu, [&](auto room) { change_rows<room()>(p, t, tile, at_pre); });
    if (at_post != 0 && own) with_room(p.at_post.mu, [&](auto room) { change_lanes<room()>(p, tile, own); });
    if (!p.post.before) filter_post(p.post, tile, own);
    if (p.theta.value) filter_post(p.theta, tile, own);
    if (due) normalise(p, tile);
  }
  if (!p.pre.before) filter_pre(p, t);
}

template <class F, class Real> void run(const Window<Real>* p) {
  const FlushDenormals flush;
  for (int64_t t = 0; t < p->n_steps; t++) step<F, Real>(*p, t);
}

}  // namespace spikeloom::plastic

// The entries of a neuron: its sizes, and a window in float and in double.
#define SPIKELOOM_PLASTIC(F, name)                                                                      \
  SPIKELOOM_EXPORT void name##_sizes(int64_t* sizes) {                                                  \
    sizes[0] = F::states, sizes[1] = F::inlets, sizes[2] = F::coefficients;                             \
  }                                                                                                     \
  SPIKELOOM_EXPORT void name##_f32(const void* window) {                                                \
    spikeloom::plastic::run<F, float>((const spikeloom::plastic::Window<float>*)window);                \
  }                                                                                                     \
  SPIKELOOM_EXPORT void name##_f64(const void* window) {                                                \
    spikeloom::plastic::run<F, double>((const spikeloom::plastic::Window<double>*)window);              \
  }
