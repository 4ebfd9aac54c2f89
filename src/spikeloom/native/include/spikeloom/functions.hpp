// The vocabulary of `spikeloom.ops` on vectors.
#pragma once

#include "simd.hpp"

namespace spikeloom {

template <class Real> SPIKELOOM_INLINE Vec<Real> select(Mask<Real> m, Vec<Real> a, Vec<Real> b) { return m ? a : b; }
// What is not a number comes through, whichever side it is on.
template <class Real> SPIKELOOM_INLINE Vec<Real> vmax(Vec<Real> a, Vec<Real> b) { return (a > b) | (a != a) ? a : b; }
template <class Real> SPIKELOOM_INLINE Vec<Real> vmin(Vec<Real> a, Vec<Real> b) { return (a < b) | (a != a) ? a : b; }
template <class Real> SPIKELOOM_INLINE Vec<Real> vabs(Vec<Real> a) { return a < 0 ? -a : a; }

// A product that is rounded before it is added to anything, as an operation on tensors is: the compiler may not join the
// two into one instruction that rounds once, which would move spikes that stand at the threshold.
template <class Real> SPIKELOOM_INLINE Vec<Real> times(Vec<Real> a, Vec<Real> b) {
  Vec<Real> product = a * b;
#if defined(__AVX512F__)
  asm("" : "+v"(product));
#elif defined(__x86_64__)
  asm("" : "+x"(product));
#elif defined(__aarch64__)
  asm("" : "+w"(product));
#endif
  return product;
}

template <class Real, class Function> SPIKELOOM_INLINE Vec<Real> each(Vec<Real> x, Function f) {
  for (int i = 0; i < lanes<Real>; i++) x[i] = f(x[i]);
  return x;
}
template <class Real> SPIKELOOM_INLINE Vec<Real> vsqrt(Vec<Real> x) {
  return each<Real>(x, [](Real a) { return std::sqrt(a); });
}
template <class Real> SPIKELOOM_INLINE Vec<Real> vfloor(Vec<Real> x) {
  return each<Real>(x, [](Real a) { return std::floor(a); });
}
template <class Real> SPIKELOOM_INLINE Vec<Real> vlog(Vec<Real> x) {
  return each<Real>(x, [](Real a) { return std::log(a); });
}
template <class Real> SPIKELOOM_INLINE Vec<Real> vexp(Vec<Real> x) {
  return each<Real>(x, [](Real a) { return std::exp(a); });
}
// exp(r) where |r| <= ln 2 / 2: the polynomial of Cephes' expf.
SPIKELOOM_INLINE Vec<float> exp_of_rest(Vec<float> r) {
  Vec<float> y = r * 1.9875691500e-4f + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  return y * r * r + r + 1.0f;
}
// In float: range reduction by ln 2 in two parts and the polynomial of Cephes' expf, within 2 ulp; 0 where no normal
// number can hold it. The power of two comes in two factors, as one alone does not reach the largest numbers.
template <> inline __attribute__((always_inline)) Vec<float> vexp<float>(Vec<float> x) {
  const Vec<float> low = splat(-87.33654f), high = splat(88.72283f);
  const Vec<float> in = vmin<float>(vmax<float>(x, low), high);
  const Vec<float> half = select<float>(in < 0, splat(-0.5f), splat(0.5f));
  const Mask<float> n = __builtin_convertvector(in * 1.44269504f + half, Mask<float>), n0 = n >> 1;
  const Vec<float> f = __builtin_convertvector(n, Vec<float>), r = in - f * 0.693359375f + f * 2.12194440e-4f;
  const Vec<float> y = exp_of_rest(r) * (Vec<float>)((n0 + 127) << 23) * (Vec<float>)((n - n0 + 127) << 23);
  return select<float>(x < low, splat(0.0f), select<float>(x > high, splat(INFINITY), y));
}
template <class Real> SPIKELOOM_INLINE Vec<Real> vtanh(Vec<Real> x) {
  return each<Real>(x, [](Real a) { return std::tanh(a); });
}
// In float: by exp, and near zero, where 1 - exp would lose its digits, by the polynomial of Cephes' tanhf; within 2 ulp.
template <> inline __attribute__((always_inline)) Vec<float> vtanh<float>(Vec<float> x) {
  const Vec<float> size = vabs<float>(x), sq = x * x;
  const Vec<float> far = 1.0f - 2.0f / (vexp<float>(size * 2.0f) + 1.0f);
  Vec<float> near = sq * -5.70498872745e-3f + 2.06390887954e-2f;
  near = near * sq - 5.37397155531e-2f;
  near = near * sq + 1.33314422036e-1f;
  near = near * sq - 3.33332819422e-1f;
  return select<float>(size < 0.625f, near * sq * x + x, select<float>(x < 0, -far, far));
}

}  // namespace spikeloom
