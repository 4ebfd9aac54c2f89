// Populations of one model over time, forward and backward: products with events fused with the step of a generated
// functor F, and the small products of the way back fused with its adjoint.
//
// F has: states, inlets, coefficients, kept, trained (numbers), spikes, synaptic (flags) and
//   Mask<Real> forward(s, x, c, after, keep, output): one step of `lanes` neurons; who fires
//   void adjoint(k, g, n, y, c, gs, gx, gc): the gradients of states and inlets; gc adds to those of trained coefficients
//
// A population of `size` neurons is cut into tiles of W, padded. Row m = t * samples + b. Layouts:
//   weights [tile][source neuron][W], coefficients [tile][c][W], states [state][b][tile * W], bits [m][word],
//   kept planes [plane][tile][row][W] with row 0 at step `first`, dense currents, outputs and traces (steps, samples, size)
#pragma once

#include <vector>

#include "functions.hpp"

namespace spikeloom {

constexpr int max_inlets = 8, max_traces = 24;
constexpr int team = 4;                                   // samples that go forward together
constexpr int block = 8;                                  // samples that go back together
constexpr int group = vector_bytes == 64 ? 2 : 1;         // vectors of neurons that go back together
enum Kind : int64_t { from_events = 0, from_bits = 1, from_values = 2, from_nothing = 3 };

// What brings current: event rows r = b * steps + t, or bits or values of a population of the same loop; and a bias, or
// nothing but a bias. Nothing arrives before step `delay`.
template <class Real> struct Source {
  int64_t kind, inlet, size, delay;
  const int64_t* start;
  const int32_t* ids;
  const Real* values;
  const uint64_t* bits;
  int64_t words;
  const Real* dense;
  const Real* weight;
  const Real* bias;
};

// Who takes the output: the gradient of its current, and its weight as panels [tile of this][its neuron][W].
template <class Real> struct Target {
  const Real* grad;
  int64_t width, size, rows, delay;
  const Real* panels;
};

template <class Real> struct Population {
  int64_t steps, samples, size, tiles, words;
  int64_t first, last, rows;
  int64_t first_sample, last_sample;                      // which samples `forward` takes
  int64_t n_sources, n_targets;
  const Source<Real>* sources;
  const Target<Real>* targets;
  const Real* current[max_inlets];
  int64_t current_stride[max_inlets];                     // from step to step; 0 where it is constant
  const Real* coefficients;
  Real* state;
  uint64_t* bits;
  Real* output;
  Real* keep;
  Real* trace[max_traces];
  const Real* grad_output;
  int64_t grad_step, grad_sample;
  const Real* grad_trace[max_traces];
  Real* carry;
  Real* grad_coefficients;                                // [block][trained][tile * W]
  Real* grad_bias;                                        // [block][inlet][tile * W]: over all steps
};

template <class Real, int W> struct Tile {
  static constexpr int n = W / lanes<Real>;               // vectors
  static_assert(W % lanes<Real> == 0, "a tile holds whole vectors");
};

// The rows of a table that the ids name, added up; several sums at once where a tile is one vector, so that an addition
// need not wait for the one before.
template <class Real, int W> SPIKELOOM_INLINE void gather(Vec<Real>* acc, const int32_t* ids, int64_t n, const Real* table) {
  constexpr int V = Tile<Real, W>::n, U = V == 1 ? 4 : V == 2 ? 2 : 1;
  Vec<Real> sum[U][V];
  for (int u = 0; u < U; u++)
    for (int z = 0; z < V; z++) sum[u][z] = u ? Vec<Real>{} : acc[z];
  int64_t i = 0;
  for (; i + U <= n; i += U)
    for (int u = 0; u < U; u++) {
      const Real* w = table + int64_t(ids[i + u]) * W;
      for (int z = 0; z < V; z++) sum[u][z] += load(w + z * lanes<Real>);
    }
  for (; i < n; i++) {
    const Real* w = table + int64_t(ids[i]) * W;
    for (int z = 0; z < V; z++) sum[0][z] += load(w + z * lanes<Real>);
  }
  for (int z = 0; z < V; z++) {
    acc[z] = sum[0][z];
    for (int u = 1; u < U; u++) acc[z] += sum[u][z];
  }
}
template <class Real, int W>
SPIKELOOM_INLINE void gather(Vec<Real>* acc, const int32_t* ids, const Real* values, int64_t n, const Real* table) {
  for (int64_t i = 0; i < n; i++) {
    const Real* w = table + int64_t(ids[i]) * W;
    for (int z = 0; z < Tile<Real, W>::n; z++) acc[z] += values[i] * load(w + z * lanes<Real>);
  }
}
template <class Real, int W> SPIKELOOM_INLINE void gather_dense(Vec<Real>* acc, const Real* values, int64_t n, const Real* table) {
  for (int64_t i = 0; i < n; i++)
    for (int z = 0; z < Tile<Real, W>::n; z++) acc[z] += values[i] * load(table + i * W + z * lanes<Real>);
}

// The ids of the set bits of a row.
SPIKELOOM_INLINE int64_t ids_of(const uint64_t* bits, int64_t words, int32_t* ids) {
  int64_t n = 0;
  for (int64_t w = 0; w < words; w++)
    for (uint64_t left = bits[w]; left; left &= left - 1) ids[n++] = int32_t(w * 64 + __builtin_ctzll(left));
  return n;
}

template <class F, class Real, int W> struct Kernel {
  using V = Vec<Real>;
  using P = Population<Real>;
  static constexpr int L = lanes<Real>, NV = Tile<Real, W>::n, S = F::states, X = F::inlets, C = F::coefficients;
  static constexpr int PLANES = F::kept > X ? F::kept : X;
  static constexpr int GROUP = NV < group ? NV : group;

  // What enters a tile at a step: dense currents and biases.
  SPIKELOOM_INLINE void enter(const P& p, int64_t tile, int64_t b, int64_t t, V (*x)[NV]) {
    const int64_t left = p.size - tile * W;
    for (int i = 0; i < X; i++) {
      for (int z = 0; z < NV; z++) x[i][z] = V{};
      if (!p.current[i]) continue;
      const Real* from = p.current[i] + t * p.current_stride[i] + b * p.size + tile * W;
      for (int z = 0; z < NV && z * L < left; z++) x[i][z] = load_some(from + z * L, left - z * L);
    }
    for (int64_t k = 0; k < p.n_sources; k++) {
      const Source<Real>& q = p.sources[k];
      if (!q.bias || t < q.delay) continue;
      for (int z = 0; z < NV; z++) x[q.inlet][z] += load(q.bias + tile * W + z * L);
    }
  }

  // The current of an event source: its rows of the table.
  SPIKELOOM_INLINE void arrive(const P& p, const Source<Real>& q, int64_t tile, int64_t b, int64_t t, V (*x)[NV]) {
    const int64_t r = b * p.steps + t - q.delay, from = q.start[r], n = q.start[r + 1] - from;
    const Real* table = q.weight + tile * q.size * W;
    if (q.values)
      gather<Real, W>(x[q.inlet], q.ids + from, q.values + from, n, table);
    else
      gather<Real, W>(x[q.inlet], q.ids + from, n, table);
  }

  // The step of a tile: states s [vector][state], what comes in x [inlet][vector]; bits, kept planes and traces go out.
  SPIKELOOM_INLINE void advance(const P& p, int64_t tile, int64_t b, int64_t t, V (*s)[S], V (*x)[NV]) {
    const int64_t m = t * p.samples + b, left = p.size - tile * W, row = (t - p.first) * p.samples + b;
    const Real* c = p.coefficients + tile * C * W;
    uint64_t fired = 0;
    for (int z = 0; z < NV; z++) {
      V in[X ? X : 1], factors[C ? C : 1], after[S + 1], keep[F::kept + 1], output;
      for (int i = 0; i < X; i++) in[i] = x[i][z];
      for (int i = 0; i < C; i++) factors[i] = load(c + i * W + z * L);
      const Mask<Real> who = F::template forward<Real>(s[z], in, factors, after, keep, output);
      for (int i = 0; i < S; i++) s[z][i] = after[i];
      if (p.keep)
        for (int i = 0; i < F::kept; i++) store(p.keep + ((i * p.tiles + tile) * p.rows + row) * W + z * L, keep[i]);
      if (F::spikes)
        fired |= spikeloom::bits(who) << (z * L);
      else if (z * L < left)
        store_some(p.output + m * p.size + tile * W + z * L, output, left - z * L);
      if (z * L < left)
        for (int i = 0; i < S + F::synaptic; i++)
          if (p.trace[i]) store_some(p.trace[i] + m * p.size + tile * W + z * L, after[i], left - z * L);
    }
    if (F::spikes) p.bits[m * p.words + tile] = left >= 64 ? fired : fired & ((uint64_t(1) << left) - 1);
  }

  // Units: tile * teams + team of the samples from first_sample to last_sample. Time inside; the samples of a team take each step together, so that the steps
  // of one need not wait for those of another.
  static void forward(const P& p, int64_t begin, int64_t end) {
    const FlushDenormals mode;
    const int64_t padded = p.tiles * W, teams = (p.last_sample - p.first_sample + team - 1) / team;
    for (int64_t u = begin; u < end; u++) {
      const int64_t tile = u / teams, b0 = p.first_sample + u % teams * team;
      const int64_t n = p.last_sample - b0 < team ? p.last_sample - b0 : team;
      V s[team][NV][S], x[team][X ? X : 1][NV];
      for (int64_t j = 0; j < n; j++)
        for (int z = 0; z < NV; z++)
          for (int i = 0; i < S; i++) s[j][z][i] = load(p.state + (i * p.samples + b0 + j) * padded + tile * W + z * L);
      for (int64_t t = p.first; t < p.last; t++) {
        for (int64_t j = 0; j < n; j++) {
          enter(p, tile, b0 + j, t, x[j]);
          for (int64_t k = 0; k < p.n_sources; k++) {
            const Source<Real>& q = p.sources[k];
            if (q.kind == from_events && t >= q.delay) arrive(p, q, tile, b0 + j, t, x[j]);
          }
        }
        for (int64_t j = 0; j < n; j++) advance(p, tile, b0 + j, t, s[j], x[j]);
      }
      for (int64_t j = 0; j < n; j++)
        for (int z = 0; z < NV; z++)
          for (int i = 0; i < S; i++) store(p.state + (i * p.samples + b0 + j) * padded + tile * W + z * L, s[j][z][i]);
    }
  }

  // The ids that a team's samples get from populations of the same loop at a step, by source and sample.
  struct Heard {
    std::vector<int32_t> ids;
    std::vector<int64_t> first, count;
  };

  static void hear(const P& p, int64_t b0, int64_t n, int64_t t, Heard& heard) {
    heard.first.clear();
    heard.count.clear();
    int64_t room = 0;
    for (int64_t k = 0; k < p.n_sources; k++)
      for (int64_t j = 0; j < n; j++) {
        const Source<Real>& q = p.sources[k];
        const bool bits = q.kind == from_bits && t >= q.delay;
        if (bits && int64_t(heard.ids.size()) < room + q.words * 64) heard.ids.resize(room + q.words * 64);
        const uint64_t* row = bits ? q.bits + ((t - q.delay) * p.samples + b0 + j) * q.words : nullptr;
        heard.first.push_back(room);
        heard.count.push_back(bits ? ids_of(row, q.words, heard.ids.data() + room) : 0);
        room += heard.count.back();
      }
  }

  // One step of the teams of samples from begin to end, all tiles: what a loop takes in turn. A tile's weights stay near
  // while all teams use them.
  static void forward_step(const P& p, int64_t begin, int64_t end, int64_t t) {
    static thread_local std::vector<Heard> heard;
    if (int64_t(heard.size()) < end - begin) heard.resize(end - begin);
    for (int64_t u = begin; u < end; u++) hear(p, u * team, of_team(p, u), t, heard[u - begin]);
    for (int64_t tile = 0; tile < p.tiles; tile++)
      for (int64_t u = begin; u < end; u++) forward_tile(p, tile, u, t, heard[u - begin]);
  }

  static int64_t of_team(const P& p, int64_t unit) {
    const int64_t left = p.samples - unit * team;
    return left < team ? left : team;
  }

  static void forward_tile(const P& p, int64_t tile, int64_t unit, int64_t t, const Heard& heard) {
    const int64_t padded = p.tiles * W, b0 = unit * team, n = of_team(p, unit);
    V s[team][NV][S], x[team][X ? X : 1][NV];
    for (int64_t j = 0; j < n; j++) {
      const int64_t b = b0 + j;
      for (int z = 0; z < NV; z++)
        for (int i = 0; i < S; i++) s[j][z][i] = load(p.state + (i * p.samples + b) * padded + tile * W + z * L);
      enter(p, tile, b, t, x[j]);
      for (int64_t k = 0; k < p.n_sources; k++) {
        const Source<Real>& q = p.sources[k];
        if (t < q.delay || q.kind == from_nothing) continue;
        const Real* table = q.weight + tile * q.size * W;
        if (q.kind == from_bits)
          gather<Real, W>(x[j][q.inlet], heard.ids.data() + heard.first[k * n + j], heard.count[k * n + j], table);
        else if (q.kind == from_values)
          gather_dense<Real, W>(x[j][q.inlet], q.dense + ((t - q.delay) * p.samples + b) * q.size, q.size, table);
        else
          arrive(p, q, tile, b, t, x[j]);
      }
    }
    for (int64_t j = 0; j < n; j++) {
      advance(p, tile, b0 + j, t, s[j], x[j]);
      for (int z = 0; z < NV; z++)
        for (int i = 0; i < S; i++) store(p.state + (i * p.samples + b0 + j) * padded + tile * W + z * L, s[j][z][i]);
    }
  }

  // Which neurons of each target have a gradient in any sample of a block: a bounded surrogate leaves few.
  struct Active {
    std::vector<int32_t> ids;
    std::vector<int64_t> ends;                            // one a tile of each target, and so for each step
  };

  static void find(const P& p, int64_t q, int64_t t, Active& active) {
    const int64_t b0 = q * block, n = p.samples - b0 < block ? p.samples - b0 : block;
    for (int64_t k = 0; k < p.n_targets; k++) {
      const Target<Real>& g = p.targets[k];
      const int64_t row = (t + g.delay - p.first) * p.samples + b0;
      for (int64_t j = 0; j < g.size; j += g.width) {
        if (row < g.rows) {
          const Real* from = g.grad + (j / g.width * g.rows + row) * g.width;
          for (int64_t i = 0; i < g.width && j + i < g.size; i += L) {
            Mask<Real> some{};
            for (int64_t r = 0; r < n; r++) some |= load(from + r * g.width + i) != 0;
            uint64_t left = spikeloom::bits(some);
            if (g.size - j - i < L) left &= (uint64_t(1) << (g.size - j - i)) - 1;
            for (; left; left &= left - 1) active.ids.push_back(int32_t(i + __builtin_ctzll(left)));
          }
        }
        active.ends.push_back(int64_t(active.ids.size()));
      }
    }
  }

  // The gradient that reaches the output of a block of samples and a group of vectors: from outside, and from targets.
  SPIKELOOM_INLINE void reach(const P& p, int64_t q, int64_t t, int64_t tile, int z0, const int32_t* id,
                                     const int64_t* ends, int64_t i, V (*acc)[GROUP]) {
    const int64_t b0 = q * block, n = p.samples - b0 < block ? p.samples - b0 : block, at = tile * W + z0 * L;
    for (int r = 0; r < block; r++)
      for (int z = 0; z < GROUP; z++) {
        const int64_t left = p.size - at - z * L;
        const bool given = p.grad_output && r < n && left > 0;
        acc[r][z] = given ? load_some(p.grad_output + t * p.grad_step + (b0 + r) * p.grad_sample + at + z * L, left) : V{};
      }
    for (int64_t k = 0; k < p.n_targets; k++) {
      const Target<Real>& g = p.targets[k];
      const int64_t row = (t + g.delay - p.first) * p.samples + b0;
      for (int64_t j = 0; j < g.size; j += g.width, ends++) {
        const Real* from = g.grad + (j / g.width * g.rows + row) * g.width;
        const Real* panel = g.panels + (tile * g.size + j) * W + z0 * L;
        if (g.width == 64)
          bring<64>(acc, from, panel, id + i, *ends - i);
        else if (g.width == 32)
          bring<32>(acc, from, panel, id + i, *ends - i);
        else
          bring<16>(acc, from, panel, id + i, *ends - i);
        i = *ends;
      }
    }
  }

  // A block of rows of a target's gradient, TW wide, times a panel. A last block of fewer samples reads rows behind its
  // own, whose sums nobody looks at.
  template <int TW>
  SPIKELOOM_INLINE void bring(V (*acc)[GROUP], const Real* from, const Real* panel, const int32_t* id, int64_t n) {
    V sum[block][GROUP];
    for (int r = 0; r < block; r++)
      for (int z = 0; z < GROUP; z++) sum[r][z] = acc[r][z];
    for (int64_t i = 0; i < n; i++) {
      const Real* one = from + id[i];
      const Real* weights = panel + int64_t(id[i]) * W;
      V w[GROUP];
      for (int z = 0; z < GROUP; z++) w[z] = load(weights + z * L);
      for (int r = 0; r < block; r++)
        for (int z = 0; z < GROUP; z++) sum[r][z] += one[r * TW] * w[z];
    }
    for (int r = 0; r < block; r++)
      for (int z = 0; z < GROUP; z++) acc[r][z] = sum[r][z];
  }

  // The adjoint of a block of samples of a tile at a step; kept planes become the gradients of the inlets.
  SPIKELOOM_INLINE void retreat(const P& p, int64_t q, int64_t t, int64_t tile, const Active& active,
                                       int64_t step) {
    const int64_t b0 = q * block, n = p.samples - b0 < block ? p.samples - b0 : block, padded = p.tiles * W;
    int64_t n_ends = 0;                                   // of one step
    for (int64_t k = 0; k < p.n_targets; k++) n_ends += (p.targets[k].size + p.targets[k].width - 1) / p.targets[k].width;
    const int64_t* ends = active.ends.data() + step * n_ends;
    if (!n_ends) step = 0;
    for (int z0 = 0; z0 < NV; z0 += GROUP) {
      if (tile * W + z0 * L >= p.size) break;
      V acc[block][GROUP];
      reach(p, q, t, tile, z0, active.ids.data(), ends, step ? ends[-1] : 0, acc);
      for (int z = 0; z < GROUP; z++) {
        const int64_t at = tile * W + (z0 + z) * L, left = p.size - at;
        V c[C ? C : 1], gc[F::trained + 1], gb[X ? X : 1];
        for (int i = 0; i < C; i++) c[i] = load(p.coefficients + tile * C * W + i * W + (z0 + z) * L);
        for (int i = 0; i < F::trained; i++) gc[i] = load(p.grad_coefficients + (q * F::trained + i) * padded + at);
        for (int i = 0; i < X; i++) gb[i] = load(p.grad_bias + (q * X + i) * padded + at);
        for (int64_t r = 0; r < n; r++) {
          const int64_t row = (t - p.first) * p.samples + b0 + r, m = t * p.samples + b0 + r;
          V k[F::kept + 1], after[S], gs[S], gx[X ? X : 1], y{};
          Real* kept = p.keep + (tile * p.rows + row) * W + (z0 + z) * L;
          const int64_t plane = p.tiles * p.rows * W;
          for (int i = 0; i < F::kept; i++) k[i] = load(kept + i * plane);
          for (int i = 0; i < S; i++) {
            after[i] = load(p.carry + (i * p.samples + b0 + r) * padded + at);
            if (p.grad_trace[i] && left > 0) after[i] += load_some(p.grad_trace[i] + m * p.size + at, left);
          }
          if (F::synaptic && p.grad_trace[S] && left > 0) y = load_some(p.grad_trace[S] + m * p.size + at, left);
          F::template adjoint<Real>(k, acc[r][z], after, y, c, gs, gx, gc);
          for (int i = 0; i < S; i++) store(p.carry + (i * p.samples + b0 + r) * padded + at, gs[i]);
          for (int i = 0; i < X; i++) {
            store(kept + i * plane, gx[i]);
            gb[i] += gx[i];
          }
        }
        for (int i = 0; i < X; i++) store(p.grad_bias + (q * X + i) * padded + at, gb[i]);
        for (int i = 0; i < F::trained; i++) store(p.grad_coefficients + (q * F::trained + i) * padded + at, gc[i]);
      }
    }
  }

  static void backward_step(const P& p, int64_t begin, int64_t end, int64_t t) {
    for (int64_t q = begin; q < end; q++) backward_step(p, q, t);
  }
  static void backward_step(const P& p, int64_t q, int64_t t) {
    static thread_local Active active;
    active.ids.clear();
    active.ends.clear();
    if (t > p.first) fetch(p, q, t - 1);
    find(p, q, t, active);
    for (int64_t tile = 0; tile < p.tiles; tile++) retreat(p, q, t, tile, active, 0);
  }

  // Units: blocks of samples. With small targets tile after tile, so that a tile's panel and carry stay close; else all
  // tiles of a step, so that what the targets bring, and what comes row by row from outside, is read once and in order.
  static void backward(const P& p, int64_t begin, int64_t end) {
    const FlushDenormals mode;
    static thread_local Active active;
    int64_t brought = 0;
    for (int64_t k = 0; k < p.n_targets; k++) brought += p.targets[k].size;
    for (int64_t q = begin; q < end; q++) {
      if (brought > 32 || p.tiles == 1 || (p.grad_output && p.grad_step)) {
        for (int64_t t = p.last - 1; t >= p.first; t--) backward_step(p, q, t);
        continue;
      }
      active.ids.clear();
      active.ends.clear();
      for (int64_t t = p.first; t < p.last; t++) find(p, q, t, active);
      for (int64_t tile = 0; tile < p.tiles; tile++)
        for (int64_t t = p.last - 1; t >= p.first; t--) retreat(p, q, t, tile, active, t - p.first);
    }
  }

  // The kept values of a step on their way to the cache.
  SPIKELOOM_INLINE void fetch(const P& p, int64_t q, int64_t t) {
    const int64_t row = (t - p.first) * p.samples + q * block;
    const int64_t n = p.samples - q * block < block ? p.samples - q * block : block;
    for (int64_t i = 0; i < F::kept * p.tiles; i++)
      spikeloom::fetch(p.keep + (i * p.rows + row) * W, n * W * int64_t(sizeof(Real)));
  }
};

}  // namespace spikeloom

#define SPIKELOOM_POPULATION(F, Real, W, name)                                                                       \
  SPIKELOOM_EXPORT void forward_##name(const void* p, int64_t begin, int64_t end) {                                  \
    spikeloom::Kernel<F, Real, W>::forward(*(const spikeloom::Population<Real>*)p, begin, end);                      \
  }                                                                                                                  \
  SPIKELOOM_EXPORT void forward_step_##name(const void* p, int64_t begin, int64_t end, int64_t t) {                  \
    spikeloom::Kernel<F, Real, W>::forward_step(*(const spikeloom::Population<Real>*)p, begin, end, t);              \
  }                                                                                                                  \
  SPIKELOOM_EXPORT void backward_##name(const void* p, int64_t begin, int64_t end) {                                 \
    spikeloom::Kernel<F, Real, W>::backward(*(const spikeloom::Population<Real>*)p, begin, end);                     \
  }                                                                                                                  \
  SPIKELOOM_EXPORT void backward_step_##name(const void* p, int64_t begin, int64_t end, int64_t t) {                 \
    spikeloom::Kernel<F, Real, W>::backward_step(*(const spikeloom::Population<Real>*)p, begin, end, t);             \
  }
