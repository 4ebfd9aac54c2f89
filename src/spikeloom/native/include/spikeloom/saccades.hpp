// What the pixels of an event camera see of an image that moves: crossings of a threshold by the log intensity. All
// numbers are whole, so that the events are the same on every machine.
#pragma once

#include "simd.hpp"

namespace spikeloom {

constexpr int64_t subpixel = 4096;  // parts of a pixel that places are counted in

// The two pixels of a row of n around a place, at the border the nearest ones, and the share of the second.
struct Between {
  int64_t first, second, share;
};
SPIKELOOM_INLINE Between between(int64_t place, int64_t n) {
  const int64_t at = place >> 12, share = place & (subpixel - 1);
  if (at < 0) return {0, 0, 0};
  if (at >= n - 1) return {n - 1, n - 1, 0};
  return {at, at + 1, share};
}

struct Pixel {
  int64_t value, reference, free;  // free: when the reset after an event ends, in us; -1 where there is none
};

// The value on the way from a to b over `step` us, `at` us after its begin, rounded towards a.
SPIKELOOM_INLINE int64_t on_the_way(int64_t a, int64_t b, int64_t at, int64_t step) {
  return b > a ? a + (b - a) * at / step : a - (a - b) * at / step;
}

// image (height, width) and threshold (rows, columns) in units of log intensity, each below 2^31 in size; path_x, path_y
// are n_steps + 1 places of the image's corner on the sensor in parts of a pixel. Counts all events in `found`, writes
// those that there is room for; x and y may be null where there is none.
SPIKELOOM_INLINE void saccades(const int32_t* image, int64_t width, int64_t height, const int64_t* path_x,
                               const int64_t* path_y, int64_t n_steps, int64_t step, int64_t columns, int64_t rows,
                               const int32_t* threshold, int64_t refractory, Pixel* pixels, int64_t room, int64_t* t,
                               int16_t* x, int16_t* y, int8_t* p, int64_t* found) {
  int64_t n = 0;
  for (int64_t k = 0; k <= n_steps; k++) {
    const int64_t begin = (k - 1) * step, end = k * step;
    for (int64_t row = 0; row < rows; row++) {
      const Between v = between(row * subpixel - path_y[k], height);
      const int32_t *above = image + v.first * width, *below = image + v.second * width;
      for (int64_t column = 0; column < columns; column++) {
        const Between u = between(column * subpixel - path_x[k], width);
        const int64_t high = above[u.first] * (subpixel - u.share) + above[u.second] * u.share;
        const int64_t low = below[u.first] * (subpixel - u.share) + below[u.second] * u.share;
        const int64_t b = (high * (subpixel - v.share) + low * v.share) >> 24;
        Pixel& pixel = pixels[row * columns + column];
        const int64_t a = pixel.value, by = threshold[row * columns + column];
        pixel.value = b;
        if (k == 0) {
          pixel.reference = b, pixel.free = -1;
          continue;
        }
        if (pixel.free >= end) continue;
        if (pixel.free >= 0) {
          pixel.reference = on_the_way(a, b, pixel.free - begin, step);
          pixel.free = -1;
        }
        while (a != b && by > 0 && (b - pixel.reference >= by || pixel.reference - b >= by)) {
          const bool on = b > pixel.reference;
          const int64_t target = on ? pixel.reference + by : pixel.reference - by;
          const int64_t way = target > a ? target - a : a - target, whole = b > a ? b - a : a - b;
          const int64_t time = begin + (way * step + whole - 1) / whole;
          if (n < room) t[n] = time, x[n] = int16_t(column), y[n] = int16_t(row), p[n] = on;
          n++;
          pixel.reference = target;
          if (!refractory) continue;
          pixel.free = time + refractory;
          if (pixel.free >= end) break;
          pixel.reference = on_the_way(a, b, pixel.free - begin, step);
          pixel.free = -1;
        }
      }
    }
  }
  *found = n;
}

}  // namespace spikeloom

SPIKELOOM_EXPORT void saccades(const int32_t* image, int64_t width, int64_t height, const int64_t* path_x,
                               const int64_t* path_y, int64_t n_steps, int64_t step, int64_t columns, int64_t rows,
                               const int32_t* threshold, int64_t refractory, int64_t* pixels, int64_t room, int64_t* t,
                               int16_t* x, int16_t* y, int8_t* p, int64_t* found) {
  spikeloom::saccades(image, width, height, path_x, path_y, n_steps, step, columns, rows, threshold, refractory,
                      reinterpret_cast<spikeloom::Pixel*>(pixels), room, t, x, y, p, found);
}
