// The populations of a loop in turn, step after step; and back. So many units take each step together.
#pragma once

#include "simd.hpp"

namespace spikeloom {
typedef void (*Turn)(const void* population, int64_t begin, int64_t end, int64_t t);

SPIKELOOM_INLINE int64_t end_of(int64_t unit, int64_t together, int64_t end) {
  return end - unit < together ? end : unit + together;
}
}

SPIKELOOM_EXPORT void steps_forward(int64_t n, const void* const* turns, const void* const* populations, int64_t first,
                                    int64_t last, int64_t together, int64_t begin, int64_t end) {
  const spikeloom::FlushDenormals mode;
  for (int64_t u = begin; u < end; u += together)
    for (int64_t t = first; t < last; t++)
      for (int64_t k = 0; k < n; k++)
        ((spikeloom::Turn)turns[k])(populations[k], u, spikeloom::end_of(u, together, end), t);
}

SPIKELOOM_EXPORT void steps_backward(int64_t n, const void* const* turns, const void* const* populations, int64_t first,
                                     int64_t last, int64_t together, int64_t begin, int64_t end) {
  const spikeloom::FlushDenormals mode;
  for (int64_t q = begin; q < end; q += together)
    for (int64_t t = last - 1; t >= first; t--)
      for (int64_t k = n - 1; k >= 0; k--)
        ((spikeloom::Turn)turns[k])(populations[k], q, spikeloom::end_of(q, together, end), t);
}
