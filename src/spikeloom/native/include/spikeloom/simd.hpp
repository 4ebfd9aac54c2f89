// Vectors of the widest registers that the instruction set has, by the compiler's vector extension; built-ins only for
// turning a comparison into bits (without immintrin.h, whose reading would take a third of a compilation).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#define SPIKELOOM_INLINE static inline __attribute__((always_inline))
#define SPIKELOOM_EXPORT extern "C" __attribute__((visibility("default")))

namespace spikeloom {

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class Real> constexpr int lanes = vector_bytes / int(sizeof(Real));
template <class Real> using Int = std::conditional_t<sizeof(Real) == 4, int32_t, int64_t>;

template <class Real> struct Vectors {
  typedef Real Vec __attribute__((vector_size(vector_bytes)));
  typedef Real Loose __attribute__((vector_size(vector_bytes), aligned(sizeof(Real)), may_alias));
  typedef Int<Real> Mask __attribute__((vector_size(vector_bytes)));
};
template <class Real> using Vec = typename Vectors<Real>::Vec;
template <class Real> using Mask = typename Vectors<Real>::Mask;

template <class Real> SPIKELOOM_INLINE Vec<Real> load(const Real* p) { return *(const typename Vectors<Real>::Loose*)p; }
template <class Real> SPIKELOOM_INLINE void store(Real* p, Vec<Real> v) { *(typename Vectors<Real>::Loose*)p = v; }
template <class Real> SPIKELOOM_INLINE Vec<Real> splat(Real x) { return x - Vec<Real>{}; }  // one that costs no addition

// The first n lanes from memory, zero in the others; and the first n lanes to memory.
template <class Real> SPIKELOOM_INLINE Vec<Real> load_some(const Real* p, int64_t n) {
  if (n >= lanes<Real>) return load(p);
  Vec<Real> v{};
  for (int64_t i = 0; i < n; i++) v[i] = p[i];
  return v;
}
template <class Real> SPIKELOOM_INLINE void store_some(Real* p, Vec<Real> v, int64_t n) {
  if (n >= lanes<Real>) return store(p, v);
  for (int64_t i = 0; i < n; i++) p[i] = v[i];
}

// Memory that will be written on its way to the second cache, so that nobody waits for it; not what would fill that.
SPIKELOOM_INLINE void fetch(const void* from, int64_t bytes) {
  if (bytes > (1 << 18)) return;
  for (int64_t k = 0; k < bytes; k += 64) __builtin_prefetch((const char*)from + k, 1, 2);
}

// A store past the caches to memory that begins on a multiple of vector_bytes: what is not read again soon does not push
// out what is, and its old content is not read first. To be seen by other threads it needs `streamed`.
template <class V> SPIKELOOM_INLINE void stream(void* to, V v) {
  static_assert(sizeof(V) == vector_bytes, "one register");
  typedef long long Whole __attribute__((vector_size(vector_bytes), may_alias));
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
  __builtin_ia32_movntdq512((Whole*)to, (Whole)v);
#elif defined(__AVX2__)
  __builtin_ia32_movntdq256((Whole*)to, (Whole)v);
#elif defined(__SSE2__)
  __builtin_ia32_movntdq((Whole*)to, (Whole)v);
#else
  *(Whole*)to = (Whole)v;
#endif
}
SPIKELOOM_INLINE void streamed() {
#if defined(__SSE2__)
  __builtin_ia32_sfence();
#endif
}
SPIKELOOM_INLINE bool on_vector(const void* p) { return uintptr_t(p) % vector_bytes == 0; }

// Zeros past the caches.
SPIKELOOM_INLINE void clear(void* to, int64_t bytes) {
  char *p = (char*)to, *const end = p + bytes;
  typedef char Whole __attribute__((vector_size(vector_bytes)));
  for (; p < end && !on_vector(p); p++) *p = 0;
  for (; p + vector_bytes <= end; p += vector_bytes) stream(p, Whole{});
  for (; p < end; p++) *p = 0;
  streamed();
}

// One bit a lane of a comparison's result.
SPIKELOOM_INLINE uint64_t bits(Mask<float> m) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return __builtin_ia32_cvtd2mask512(m);
#elif defined(__AVX2__)
  return uint32_t(__builtin_ia32_movmskps256((Vec<float>)m));
#elif defined(__SSE2__)
  return uint32_t(__builtin_ia32_movmskps((Vec<float>)m));
#else
  uint64_t r = 0;
  for (int i = 0; i < lanes<float>; i++) r |= uint64_t(m[i] & 1) << i;
  return r;
#endif
}
SPIKELOOM_INLINE uint64_t bits(Mask<double> m) {
#if defined(__AVX512F__) && defined(__AVX512DQ__)
  return __builtin_ia32_cvtq2mask512((long long __attribute__((vector_size(64))))m);
#elif defined(__AVX2__)
  return uint32_t(__builtin_ia32_movmskpd256((Vec<double>)m));
#elif defined(__SSE2__)
  return uint32_t(__builtin_ia32_movmskpd((Vec<double>)m));
#else
  uint64_t r = 0;
  for (int i = 0; i < lanes<double>; i++) r |= uint64_t(m[i] & 1) << i;
  return r;
#endif
}

// Numbers below the smallest normal one are taken as zero while this lives: a potential that decays for long would
// otherwise make every operation a hundred times slower. The caller's mode comes back at the end.
class FlushDenormals {
#if defined(__x86_64__)
  unsigned before = __builtin_ia32_stmxcsr();

 public:
  FlushDenormals() { __builtin_ia32_ldmxcsr(before | 0x8040); }
  ~FlushDenormals() { __builtin_ia32_ldmxcsr(before); }
#elif defined(__aarch64__)
  uint64_t before;

 public:
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(before));
    asm volatile("msr fpcr, %0" : : "r"(before | (uint64_t(1) << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(before)); }
#endif
};

}  // namespace spikeloom
