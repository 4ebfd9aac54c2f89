// One step of an optimizer in one pass over the numbers from begin to end, in place; the arithmetic is torch.optim's.
#pragma once

#include "simd.hpp"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace spikeloom {

SPIKELOOM_INLINE Vec<float> root(Vec<float> v) {
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
  return (Vec<float>)_mm512_sqrt_ps((__m512)v);
#elif defined(__AVX2__)
  return (Vec<float>)_mm256_sqrt_ps((__m256)v);
#elif defined(__SSE2__)
  return (Vec<float>)_mm_sqrt_ps((__m128)v);
#else
  for (int i = 0; i < lanes<float>; i++) v[i] = std::sqrt(v[i]);
  return v;
#endif
}
SPIKELOOM_INLINE Vec<double> root(Vec<double> v) {
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
  return (Vec<double>)_mm512_sqrt_pd((__m512d)v);
#elif defined(__AVX2__)
  return (Vec<double>)_mm256_sqrt_pd((__m256d)v);
#elif defined(__SSE2__)
  return (Vec<double>)_mm_sqrt_pd((__m128d)v);
#else
  for (int i = 0; i < lanes<double>; i++) v[i] = std::sqrt(v[i]);
  return v;
#endif
}

// rate: the learning rate over the correction of the mean; scale: one over the root of the correction of the square.
struct Adam {
  double rate, scale, low, high, eps, shrink, decay;
};

template <class Real>
void adam(Real* parameter, const Real* gradient, Real* mean, Real* square, Adam s, int64_t begin, int64_t end) {
  FlushDenormals flush;
  const Vec<Real> rate = splat(Real(s.rate)), scale = splat(Real(s.scale)), eps = splat(Real(s.eps)),
                  low = splat(Real(1 - s.low)), high = splat(Real(s.high)), rest = splat(Real(1 - s.high)),
                  shrink = splat(Real(s.shrink)), decay = splat(Real(s.decay));
  for (int64_t i = begin; i < end; i += lanes<Real>) {
    const int64_t left = end - i;
    const Vec<Real> p = load_some(parameter + i, left) * shrink, g = load_some(gradient + i, left) + decay * p;
    Vec<Real> m = load_some(mean + i, left), v = load_some(square + i, left);
    m += low * (g - m);
    v = high * v + rest * g * g;
    store_some(mean + i, m, left);
    store_some(square + i, v, left);
    store_some(parameter + i, p - rate * m / (root(v) * scale + eps), left);
  }
}

struct Sgd {
  double rate, momentum, decay, nesterov;
};

template <class Real>
void sgd(Real* parameter, const Real* gradient, Real* velocity, Sgd s, int64_t begin, int64_t end) {
  FlushDenormals flush;
  const Vec<Real> rate = splat(Real(s.rate)), momentum = splat(Real(s.momentum)), decay = splat(Real(s.decay));
  for (int64_t i = begin; i < end; i += lanes<Real>) {
    const int64_t left = end - i;
    const Vec<Real> p = load_some(parameter + i, left);
    Vec<Real> g = load_some(gradient + i, left) + decay * p;
    if (velocity) {
      const Vec<Real> v = momentum * load_some(velocity + i, left) + g;
      store_some(velocity + i, v, left);
      g = s.nesterov != 0 ? g + momentum * v : v;
    }
    store_some(parameter + i, p - rate * g, left);
  }
}

}  // namespace spikeloom

#define SPIKELOOM_OPTIMIZERS(SUFFIX, REAL)                                                                             \
  SPIKELOOM_EXPORT void adam_##SUFFIX(REAL* parameter, const REAL* gradient, REAL* mean, REAL* square, double rate,    \
                                      double scale, double low, double high, double eps, double shrink, double decay,  \
                                      int64_t begin, int64_t end) {                                                    \
    spikeloom::adam(parameter, gradient, mean, square, {rate, scale, low, high, eps, shrink, decay}, begin, end);      \
  }                                                                                                                    \
  SPIKELOOM_EXPORT void sgd_##SUFFIX(REAL* parameter, const REAL* gradient, REAL* velocity, double rate,               \
                                     double momentum, double decay, double nesterov, int64_t begin, int64_t end) {     \
    spikeloom::sgd(parameter, gradient, velocity, {rate, momentum, decay, nesterov}, begin, end);                      \
  }
SPIKELOOM_OPTIMIZERS(f32, float)
SPIKELOOM_OPTIMIZERS(f64, double)
