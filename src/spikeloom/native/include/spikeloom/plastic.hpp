// One plastic connection and the neurons behind it, B = 1, over a window of steps, in place. F is a neuron's functor;
// the connection is its inlet 0. R is what a rule does in a step, printed by spikeloom.kernels.rule.
//
// Order of a step: deliver, integrate, emit, reset; traces that are updated before the changes; changes at pre spikes, at
// post spikes, at each step; the other traces; normalisation. Time is outermost: all neurons have emitted before the
// first weight changes.
//
// Weights lie as [tile][pre][width], a tile being as many neurons as fill a cache line. A pre spike is one row of every
// tile, added and changed as vectors. A post spike is one lane of its tile: the tile is swept once, whichever of its
// neurons fired, and the other lanes are masked.
//
// What is eligible at a synapse lies as the weights do, over a scale that all synapses share and that decays in place of
// them: where nothing fires and nothing is modulated a step costs nothing. What is modulated moves every weight in every
// step, and is swept: bounds and weight factors do not let several steps be taken as one.
#pragma once

#include <utility>

#include "simd.hpp"

namespace spikeloom::plastic {

template <class Real> constexpr int width = 64 / int(sizeof(Real));
template <class Real> constexpr int word_tiles = 64 / width<Real>;
constexpr int vectors = 64 / vector_bytes;
enum Trigger { at_pre, at_post, at_step };
constexpr double least_scale = 0x1p-60;

// Arrays over pre neurons are padded to whole cache lines, those over post neurons to whole words. begin, end: the
// words of 64 post neurons to work on; ranges share nothing but `pre`, `scale` and scratch, of which each has its own.
template <class Real> struct Window {
  int64_t n_steps, n_pre, n_post, begin, end;
  int64_t every, done, at_end;     // normalise each `every` steps (0: never) counted from `done`; after the last step
  int64_t squares;                 // whether the norm is the root of the sum of squares, not the sum of magnitudes
  int64_t rated;                   // whether each step has rates of its own
  const int64_t* start;            // [n_steps + 1], where a step's pre spikes begin in ids
  const int32_t* ids;              // ascending within a step
  const double* rates;             // [n_steps or 1][change]: the learning rate times the modulator
  const double *numbers, *eligible_leaks;  // what R calls c; [decay, gain][eligible]
  double* scale;                   // [eligible]
  const uint64_t* last;            // [word], who fired in the step before the window
  const Real* current;             // what else comes in: [n_steps][inlet][post], or null
  const Real* coefficients;        // [tile][coefficient][width]
  Real *state, *weights, *eligible;  // [tile][state][width], [tile][pre][width], [eligible][tile][pre][width]
  Real *pre, *post, *offsets;      // the traces of both ends, [trace][neuron]; what is added to coefficients, [target][post]
  const Real *pre_leaks, *post_leaks, *offset_leaks;  // [trace, or change][decay, gain][neuron]
  Real *seen, *scaled;             // scratch: [pre] at 0, [change][pre]
  uint64_t* bits;                  // [n_steps][word]
  double w_min, w_max, total, inhibition;  // what a spike takes from the next input of every other neuron
};

template <class Real> SPIKELOOM_INLINE int64_t padded_pre(const Window<Real>& p) {
  return (p.n_pre + width<Real> - 1) / width<Real> * width<Real>;
}
template <class Real> SPIKELOOM_INLINE int64_t words_of(const Window<Real>& p) { return (p.n_post + 63) / 64; }
template <class Real> SPIKELOOM_INLINE int64_t stride_of(const Window<Real>& p) { return p.n_pre * width<Real>; }

// What all tiles share in a step: the numbers of the rule, how many spikes each end has, and what each change counts.
template <class R, class Real> struct Moment {
  Vec<Real> numbers[R::numbers + 1], n_pre, n_post, lower, upper;
  double rate[R::changes + 1], amount[R::changes + 1];  // amount: over the scale, where the product is kept as eligible
};

template <class Real> SPIKELOOM_INLINE Vec<Real> clipped(Vec<Real> w, Vec<Real> lower, Vec<Real> upper) {
  w = w < lower ? lower : w;
  return w > upper ? upper : w;
}

// The lanes whose bit is set.
template <class Real> SPIKELOOM_INLINE Mask<Real> mask_of(uint64_t fired) {
  Mask<Real> bit{};
  for (int i = 0; i < lanes<Real>; i++) bit[i] = Int<Real>(1) << i;
  return ((Mask<Real>{} + Int<Real>(fired)) & bit) != 0;
}
template <class Real> SPIKELOOM_INLINE Vec<Real> ones_of(uint64_t fired) {
  return mask_of<Real>(fired) ? splat(Real(1)) : Vec<Real>{};
}

template <class E> constexpr bool updates(bool early) {
  for (int j = 0; j < E::traces; j++)
    if (bool(E::before[j]) == early) return true;
  return false;
}

// Updates the traces of some neurons of an end.
template <class E, bool early, class Real>
SPIKELOOM_INLINE void filter(Real* traces, const Real* leaks, int64_t stride, Vec<Real> s, Vec<Real> n,
                             const Vec<Real>* v, const Vec<Real>* c) {
  Vec<Real> y[E::traces + 1], decay[E::traces + 1], gain[E::traces + 1];
  for (int j = 0; j < E::traces; j++) {
    y[j] = load(traces + j * stride);
    decay[j] = load(leaks + 2 * j * stride), gain[j] = load(leaks + (2 * j + 1) * stride);
  }
  E::template filter<early, Real>(s, n, v, y, decay, gain, c);
  for (int j = 0; j < E::traces; j++)
    if (bool(E::before[j]) == early) store<Real>(traces + j * stride, y[j]);
}

template <class R, bool early, class Real> SPIKELOOM_INLINE void filter_pre(const Window<Real>& p, const Moment<R, Real>& now) {
  if constexpr (updates<typename R::Pre>(early)) {
    const int64_t stride = padded_pre(p);
    for (int64_t k = 0; k < p.n_pre; k += lanes<Real>)
      filter<typename R::Pre, early, Real>(p.pre + k, p.pre_leaks + k, stride, load(p.seen + k), now.n_pre, nullptr,
                                           now.numbers);
  }
}

// What the neurons of a vector show besides their spikes: state variables and traces.
template <class F, class R, class Real> struct Shown {
  Vec<Real> v[R::Post::variables + 1], y[R::Post::traces + 1];
};
template <class F, class R, class Real>
SPIKELOOM_INLINE void show(const Window<Real>& p, int64_t tile, int z, Shown<F, R, Real>& found) {
  const int64_t lane = z * lanes<Real>, stride = words_of(p) * 64;
  for (int j = 0; j < R::Post::variables; j++)
    found.v[j] = load(p.state + (tile * F::states + R::Post::variable[j]) * width<Real> + lane);
  for (int j = 0; j < R::Post::traces; j++) found.y[j] = load(p.post + j * stride + tile * width<Real> + lane);
}

template <class F, class R, bool early, class Real>
SPIKELOOM_INLINE void filter_post(const Window<Real>& p, const Moment<R, Real>& now, int64_t tile, uint64_t own) {
  if constexpr (updates<typename R::Post>(early)) {
    const int64_t stride = words_of(p) * 64;
    for (int z = 0; z < vectors; z++) {
      const int64_t at = tile * width<Real> + z * lanes<Real>;
      Shown<F, R, Real> shown;
      show(p, tile, z, shown);
      filter<typename R::Post, early, Real>(p.post + at, p.post_leaks + at, stride, ones_of<Real>(own >> (z * lanes<Real>)),
                                            now.n_post, shown.v, now.numbers);
    }
  }
}

// The current of n tiles that follow each other: a row of each for every spike.
template <int n, class Real>
SPIKELOOM_INLINE void deliver(const Window<Real>& p, int64_t t, int64_t tile, Vec<Real>* sum) {
  const int64_t stride = stride_of(p);
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
template <class F, class R, class Real>
SPIKELOOM_INLINE uint64_t emit(const Window<Real>& p, int64_t t, int64_t tile, const Vec<Real>* sum) {
  constexpr int S = F::states, X = F::inlets, C = F::coefficients;
  const int64_t padded = words_of(p) * 64, left = p.n_post - tile * width<Real>;
  uint64_t fired = 0;
  for (int z = 0; z < vectors; z++) {
    const int64_t lane = z * lanes<Real>, at = tile * width<Real> + lane;
    Vec<Real> s[S + 1], x[X + 1], c[C + 1], after[S + 1], keep[F::kept + 1], output;
    for (int k = 0; k < S; k++) s[k] = load(p.state + (tile * S + k) * width<Real> + lane);
    for (int k = 0; k < C; k++) {
      c[k] = load(p.coefficients + (tile * C + k) * width<Real> + lane);
    }
    for (int k = 0; k < R::targets; k++) c[R::moved[k]] += load(p.offsets + k * padded + at);
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

template <class F, class R, class Real>
SPIKELOOM_INLINE uint64_t emit_word(const Window<Real>& p, int64_t t, int64_t word, int64_t before) {
  constexpr int n = 8 / vectors, together = n < word_tiles<Real> ? n : word_tiles<Real>;
  uint64_t fired = 0;
  for (int i = 0; i < word_tiles<Real>; i += together) {
    const int64_t tile = word * word_tiles<Real> + i;
    if (tile * width<Real> >= p.n_post) break;
    Vec<Real> sum[together * vectors];
    deliver<together, Real>(p, t, tile, sum);
    if (before) {
      const uint64_t own = (t ? p.bits[(t - 1) * words_of(p) + word] : p.last[word]) >> (i * width<Real>);
      for (int k = 0; k < together; k++) inhibit<Real>(p, before, own >> (k * width<Real>), sum + k * vectors);
    }
    for (int k = 0; k < together && (tile + k) * width<Real> < p.n_post; k++)
      fired |= emit<F, R, Real>(p, t, tile + k, sum + k * vectors) << ((i + k) * width<Real>);
  }
  return fired;
}

// Where a change of a tile goes: its weights, or what is eligible there.
template <class R, int c, class Real> SPIKELOOM_INLINE Real* target_of(const Window<Real>& p, int64_t tile) {
  if constexpr (R::kept[c] >= 0)
    return p.eligible + (R::kept[c] * words_of(p) * word_tiles<Real> + tile) * stride_of(p);
  else
    return p.weights + tile * stride_of(p);
}

template <class R, int c, class Real>
SPIKELOOM_INLINE Vec<Real> moved(Vec<Real> w, Vec<Real> by, const Moment<R, Real>& now) {
  if constexpr (R::weighted[c]) by *= R::template weight<c, Real>(w, now.numbers);
  return clipped<Real>(w + by, now.lower, now.upper);
}

// A vector after a product was added to it: weights are moved, what is eligible is a sum.
template <class R, int c, class Real>
SPIKELOOM_INLINE Vec<Real> after(Vec<Real> x, Vec<Real> by, const Moment<R, Real>& now) {
  if constexpr (R::kept[c] >= 0)
    return x + by;
  else
    return moved<R, c>(x, by, now);
}

// The pre factors of a change, times what it counts where its post factor is not.
template <class R, int c, class Real> void scale_pre(const Window<Real>& p, const Moment<R, Real>& now, bool fired, bool some) {
  constexpr int trigger = R::trigger[c];
  if constexpr (R::target[c] < 0 && !(trigger == at_pre && R::plain[c])) {
    if (now.amount[c] == 0 || (trigger == at_post && !fired) || (trigger == at_pre && !some)) return;
    const int64_t stride = padded_pre(p);
    const Vec<Real> amount = splat(Real(trigger == at_pre ? 1.0 : now.amount[c]));
    for (int64_t k = 0; k < p.n_pre; k += lanes<Real>) {
      Vec<Real> y[R::Pre::traces + 1];
      for (int j = 0; j < R::Pre::traces; j++) y[j] = load(p.pre + j * stride + k);
      const Vec<Real> s = load(p.seen + k);
      const Vec<Real> found = R::Pre::template factor<c, Real>(s, now.n_pre, nullptr, y, now.numbers);
      store<Real>(p.scaled + c * stride + k, amount * found);
    }
  }
}

// The product of a change added to a tile at the pre spikes of a step.
template <class R, int c, class Real>
void add_rows(const Window<Real>& p, const Moment<R, Real>& now, int64_t t, int64_t tile, const Vec<Real>* post) {
  const Real* const scaled = p.scaled + c * padded_pre(p);
  Real* const first = target_of<R, c>(p, tile);
  for (int64_t e = p.start[t]; e < p.start[t + 1]; e++) {
    Real* row = first + int64_t(p.ids[e]) * width<Real>;
    for (int z = 0; z < vectors; z++, row += lanes<Real>) {
      const Vec<Real> by = R::plain[c] ? post[z] : post[z] * scaled[p.ids[e]];
      store<Real>(row, after<R, c>(load(row), by, now));
    }
  }
}

// The body for each pre neuron, without neighbours whose pre factors are all 0, such as the dark border of a picture.
template <class Real, class Body> SPIKELOOM_INLINE void each_scaled(const Window<Real>& p, const Real* scaled, Body body) {
  for (int64_t begin = 0; begin < p.n_pre; begin += lanes<Real>) {
    if (!bits(load(scaled + begin) != 0)) continue;
    const int64_t end = begin + lanes<Real> < p.n_pre ? begin + lanes<Real> : p.n_pre;
    for (int64_t k = begin; k < end; k++) body(k);
  }
}

// The product of a change added to the lanes of a tile that fired; weights come from the second cache, so the next ones
// are fetched ahead.
template <class R, int c, class Real>
void add_lanes(const Window<Real>& p, const Moment<R, Real>& now, int64_t tile, uint64_t fired, const Vec<Real>* post) {
  const Real* const scaled = p.scaled + c * padded_pre(p);
  for (int z = 0; z < vectors; z++) {
    const Mask<Real> mask = mask_of<Real>(fired >> (z * lanes<Real>));
    if (!bits(mask)) continue;
    Real* const first = target_of<R, c>(p, tile) + z * lanes<Real>;
    each_scaled(p, scaled, [&](int64_t k) {
      __builtin_prefetch(first + (k + 24) * width<Real>, 1, 3);
      const Vec<Real> before = load(first + k * width<Real>);
      store<Real>(first + k * width<Real>, mask ? after<R, c>(before, post[z] * scaled[k], now) : before);
    });
  }
}

// The same for a weight factor that costs much: the weights of one neuron that fired at a time, none masked.
template <class R, int c, class Real>
void add_columns(const Window<Real>& p, const Moment<R, Real>& now, int64_t tile, uint64_t fired, const Vec<Real>* post) {
  const Real* const scaled = p.scaled + c * padded_pre(p);
  for (; fired; fired &= fired - 1) {
    const int lane = __builtin_ctzll(fired);
    const Vec<Real> factor = splat(post[lane / lanes<Real>][lane % lanes<Real>]);
    Real* column = target_of<R, c>(p, tile) + lane;
    for (int64_t k = 0; k < p.n_pre; k += lanes<Real>, column += lanes<Real> * width<Real>) {
      const Vec<Real> by = load(scaled + k);
      if (!bits(by != 0)) continue;
      const int64_t n = lanes<Real> < p.n_pre - k ? lanes<Real> : p.n_pre - k;
      Vec<Real> w = now.lower;
      for (int i = 0; i < n; i++) w[i] = column[i * width<Real>];
      w = after<R, c>(w, factor * by, now);
      for (int i = 0; i < n; i++) column[i * width<Real>] = w[i];
    }
  }
}

// The product of a change added to a whole tile.
template <class R, int c, class Real>
void add_all(const Window<Real>& p, const Moment<R, Real>& now, int64_t tile, const Vec<Real>* post) {
  const Real* const scaled = p.scaled + c * padded_pre(p);
  Real* const first = target_of<R, c>(p, tile);
  each_scaled(p, scaled, [&](int64_t k) {
    for (int z = 0; z < vectors; z++) {
      Real* const at = first + k * width<Real> + z * lanes<Real>;
      store<Real>(at, after<R, c>(load(at), post[z] * scaled[k], now));
    }
  });
}

// The weights of a tile moved by what is eligible there, for changes that follow each other, in one sweep.
template <class R, int first, class Real, int... i>
void apply(const Window<Real>& p, const Moment<R, Real>& now, int64_t tile, std::integer_sequence<int, i...>) {
  const Vec<Real> amount[] = {splat(Real(now.rate[first + i] * p.scale[R::kept[first + i]]))...};
  const Real* const x[] = {target_of<R, first + i>(p, tile)...};
  if (((now.rate[first + i] == 0) && ...)) return;
  Real* const weights = p.weights + tile * stride_of(p);
  for (int64_t at = 0; at < stride_of(p); at += lanes<Real>) {
    if (!bits(((load(x[i] + at) != 0) | ...))) continue;
    Vec<Real> w = load(weights + at);
    ((w = moved<R, first + i>(w, load(x[i] + at) * amount[i], now)), ...);
    store<Real>(weights + at, w);
  }
}
template <class R> constexpr int first_kept(int c) { return c > 0 && R::kept[c - 1] >= 0 ? first_kept<R>(c - 1) : c; }

template <class R, int c, class Real>
SPIKELOOM_INLINE void move_offsets(const Window<Real>& p, int64_t tile, const Vec<Real>* post) {
  const int64_t stride = words_of(p) * 64;
  for (int z = 0; z < vectors; z++) {
    const int64_t at = tile * width<Real> + z * lanes<Real>;
    const Vec<Real> decay = load(p.offset_leaks + 2 * c * stride + at), gain = load(p.offset_leaks + (2 * c + 1) * stride + at);
    Real* const offset = p.offsets + R::target[c] * stride + at;
    store<Real>(offset, decay * load(offset) + gain * post[z]);
  }
}

// One change of a tile; own: the bits of its neurons that fired.
template <class F, class R, int c, class Real>
SPIKELOOM_INLINE void change(const Window<Real>& p, const Moment<R, Real>& now, int64_t t, int64_t tile, uint64_t own) {
  constexpr int trigger = R::trigger[c];
  constexpr bool weights = R::target[c] < 0, kept = R::kept[c] >= 0;
  if (weights && now.amount[c] == 0) return;
  const bool some = trigger == at_pre ? p.start[t] < p.start[t + 1] : trigger == at_post ? own != 0 : true;
  if (some || !weights) {
    Vec<Real> post[vectors];
    Mask<Real> any{};
    for (int z = 0; z < vectors; z++) {
      const Vec<Real> s = ones_of<Real>(own >> (z * lanes<Real>));
      Shown<F, R, Real> shown;
      show(p, tile, z, shown);
      post[z] = R::Post::template factor<c, Real>(s, now.n_post, shown.v, shown.y, now.numbers);
      if (!weights) post[z] *= trigger == at_post ? Real(now.rate[c]) * s : splat(Real(now.rate[c]));
      if (weights && trigger == at_pre) post[z] *= Real(now.amount[c]);
      any |= post[z] != 0;
    }
    if constexpr (!weights)
      move_offsets<R, c>(p, tile, post);
    else if (bits(any)) {
      if constexpr (trigger == at_pre)
        add_rows<R, c>(p, now, t, tile, post);
      else if constexpr (trigger == at_post && R::costly[c] && !kept)
        add_columns<R, c>(p, now, tile, own, post);
      else if constexpr (trigger == at_post)
        add_lanes<R, c>(p, now, tile, own, post);
      else
        add_all<R, c>(p, now, tile, post);
    }
  }
  constexpr int first = first_kept<R>(c);
  if constexpr (kept && (c + 1 == R::changes || R::kept[c + 1] < 0))
    apply<R, first>(p, now, tile, std::make_integer_sequence<int, c + 1 - first>{});
}

// The sum of magnitudes or of squares that arrives at each neuron of a tile; several sums at once where a tile is few vectors,
// so that an addition need not wait for the one before.
template <bool squares, class Real> SPIKELOOM_INLINE void sum_sizes(const Real* row, int64_t n, Vec<Real>* all) {
  constexpr int U = 4 / vectors;
  Vec<Real> sum[U][vectors] = {};
  const auto add = [&](int u) {
    for (int z = 0; z < vectors; z++, row += lanes<Real>) {
      const Vec<Real> w = load(row);
      sum[u][z] += squares ? w * w : w < 0 ? -w : w;
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

// Scales what arrives at each neuron of a tile to a norm; nothing where nothing arrives.
template <class Real> void normalise(const Window<Real>& p, int64_t tile, Vec<Real> lower, Vec<Real> upper) {
  const Vec<Real> one = splat(Real(1));
  Real* const row = p.weights + tile * stride_of(p);
  Vec<Real> factor[vectors];
  if (p.squares) {
    sum_sizes<true, Real>(row, p.n_pre, factor);
    for (int z = 0; z < vectors; z++)
      for (int i = 0; i < lanes<Real>; i++) factor[z][i] = std::sqrt(factor[z][i]);
  } else {
    sum_sizes<false, Real>(row, p.n_pre, factor);
  }
  const Vec<Real> silent = splat(Real(p.total * 1e-30));  // as SILENT of spikeloom.plasticity
  for (int z = 0; z < vectors; z++)
    factor[z] = factor[z] > silent ? Real(p.total) / (factor[z] > silent ? factor[z] : one) : one;
  for (int64_t k = p.n_pre - 1; k >= 0; k--)  // from the end, which the sum left in the cache
    for (int z = 0; z < vectors; z++) {
      Real* const w = row + k * width<Real> + z * lanes<Real>;
      store<Real>(w, clipped<Real>(load(w) * factor[z], lower, upper));
    }
}

// What each change counts in a step; what is eligible decays by its scale, before the scale gets too small.
template <class R, class Real, int... c>
SPIKELOOM_INLINE void count_changes(const Window<Real>& p, int64_t t, Moment<R, Real>& now, std::integer_sequence<int, c...>) {
  for (int k = 0; k < R::eligible; k++) {
    p.scale[k] *= p.eligible_leaks[k];
    if (p.scale[k] >= least_scale) continue;
    const int64_t n = words_of(p) * word_tiles<Real> * stride_of(p), word = word_tiles<Real> * stride_of(p);
    const Vec<Real> scale = splat(Real(p.scale[k]));
    for (int64_t i = p.begin * word; i < p.end * word; i += lanes<Real>)
      store<Real>(p.eligible + k * n + i, load(p.eligible + k * n + i) * scale);
    p.scale[k] = 1;
  }
  const auto count = [&](int one, int kept) {
    now.rate[one] = p.rates[(p.rated ? t * R::changes : 0) + one];
    now.amount[one] = kept < 0 ? now.rate[one] : p.eligible_leaks[R::eligible + kept] / p.scale[kept];
  };
  (count(c, R::kept[c]), ...);
}

template <class F, class R, class Real, int... c>
void step(const Window<Real>& p, int64_t t, Moment<R, Real>& now, std::integer_sequence<int, c...> all) {
  const int64_t words = words_of(p), first = p.start[t], last = p.start[t + 1];
  uint64_t *const fired = p.bits + t * words, any = 0;
  int64_t before = 0;  // how many fired in the last step, where they inhibit; then one range has all words
  if (p.inhibition != 0)
    for (int64_t word = 0; word < words; word++) before += __builtin_popcountll(t ? fired[word - words] : p.last[word]);
  for (int64_t word = p.begin; word < p.end; word++) any |= fired[word] = emit_word<F, R, Real>(p, t, word, before);
  for (int64_t e = first; e < last; e++) p.seen[p.ids[e]] = 1;
  now.n_pre = splat(Real(last - first));
  if (R::counts) {  // then one range has all words, too
    int64_t n = 0;
    for (int64_t word = 0; word < words; word++) n += __builtin_popcountll(fired[word]);
    now.n_post = splat(Real(n));
  }
  count_changes<R>(p, t, now, all);
  filter_pre<R, true>(p, now);
  (scale_pre<R, c>(p, now, any != 0, first < last), ...);
  const bool due = (p.every && (p.done + t + 1) % p.every == 0) || (p.at_end && t + 1 == p.n_steps);
  const int64_t tiles = (p.n_post + width<Real> - 1) / width<Real>, end = p.end * word_tiles<Real>;
  for (int64_t tile = p.begin * word_tiles<Real>; tile < end && tile < tiles; tile++) {
    const int64_t place = tile % word_tiles<Real> * width<Real>;
    const uint64_t own = fired[tile / word_tiles<Real>] >> place & ((1 << width<Real>) - 1);
    filter_post<F, R, true>(p, now, tile, own);
    (change<F, R, c>(p, now, t, tile, own), ...);
    filter_post<F, R, false>(p, now, tile, own);
    if (due) normalise(p, tile, now.lower, now.upper);
  }
  filter_pre<R, false>(p, now);
  for (int64_t e = first; e < last; e++) p.seen[p.ids[e]] = 0;
}

template <class F, class R, class Real> void run(const Window<Real>* p) {
  const FlushDenormals flush;
  Moment<R, Real> now{};
  for (int k = 0; k < R::numbers; k++) now.numbers[k] = splat(Real(p->numbers[k]));
  now.lower = splat(Real(p->w_min)), now.upper = splat(Real(p->w_max));
  for (int64_t t = 0; t < p->n_steps; t++)
    step<F, R, Real>(*p, t, now, std::make_integer_sequence<int, R::changes>{});
}

}  // namespace spikeloom::plastic

// The entries of a neuron and a rule for a real type: their sizes, and a window.
#define SPIKELOOM_PLASTIC(F, R, Real)                                                                         \
  SPIKELOOM_EXPORT void plastic_sizes(int64_t* sizes) {                                                       \
    sizes[0] = F::states, sizes[1] = F::inlets, sizes[2] = F::coefficients;                                   \
    sizes[3] = R::Pre::traces, sizes[4] = R::Post::traces, sizes[5] = R::changes, sizes[6] = R::eligible;     \
    sizes[7] = R::targets, sizes[8] = R::numbers, sizes[9] = R::counts;                                       \
  }                                                                                                           \
  SPIKELOOM_EXPORT void plastic_run(const void* window) {                                                     \
    spikeloom::plastic::run<F, R, Real>((const spikeloom::plastic::Window<Real>*)window);                     \
  }
