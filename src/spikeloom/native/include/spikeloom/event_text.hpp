// Events as text: lines of numbers in columns. Nothing is read beyond the bytes that are given; a line that is not one of
// events ends the reading and is told by its place.
#pragma once

#include "simd.hpp"

namespace spikeloom {

constexpr int64_t longest_line = 1024;

// How the lines look: the columns of t, x, y and p, how many columns there are, what separates them (a blank: any run of
// blanks and tabs), and the power of ten that makes a time microseconds.
struct TextLayout {
  int64_t column[4], columns, delimiter, power;
};

// A decimal number: digits * 10^power, of which digits behind 19 were cut: the first of these, and whether one was not 0.
struct Decimal {
  uint64_t digits;
  int64_t power;
  bool negative, cut;
  int64_t next;
};

SPIKELOOM_INLINE bool is_digit(uint8_t c) { return uint8_t(c - '0') < 10; }
SPIKELOOM_INLINE bool is_blank(uint8_t c) { return c == ' ' || c == '\t'; }

// The number at s, which then stands behind it; false where there is none.
SPIKELOOM_INLINE bool decimal(const uint8_t*& s, const uint8_t* end, Decimal& d) {
  d = {0, 0, false, false, -1};
  if (s < end && (*s == '-' || *s == '+')) d.negative = *s++ == '-';
  bool any = false, point = false;
  for (; s < end; s++) {
    if (*s == '.' && !point) {
      point = true;
      continue;
    }
    if (!is_digit(*s)) break;
    any = true;
    const uint64_t digit = *s - '0';
    if (d.digits <= 999999999999999999u) d.digits = d.digits * 10 + digit, d.power -= point;
    else d.cut |= digit > 0, d.power += !point, d.next = d.next < 0 ? int64_t(digit) : d.next;
  }
  if (!any) return false;
  if (s < end && (*s == 'e' || *s == 'E')) {
    const uint8_t* e = s + 1;
    const bool minus = e < end && *e == '-';
    if (e < end && (*e == '-' || *e == '+')) e++;
    if (e == end || !is_digit(*e)) return false;
    int64_t exponent = 0;
    for (; e < end && is_digit(*e); e++) exponent = exponent < 9999 ? exponent * 10 + (*e - '0') : exponent;
    d.power += minus ? -exponent : exponent;
    s = e;
  }
  return true;
}

// The number times 10^power as a whole one, halves away from zero; false where it has no place in int64, or, if it must
// be exact, is none.
SPIKELOOM_INLINE bool whole(Decimal d, int64_t given, bool exact, int64_t& value) {
  uint64_t v = d.digits;
  int64_t power = d.power + given;
  if (power >= 0) {
    for (; power > 0 && v; power--)
      if (__builtin_mul_overflow(v, uint64_t(10), &v)) return false;
    if (d.cut && exact) return false;
    v += d.power + given == 0 && d.next >= 5;
  } else if (power < -19) {
    if (exact && (v || d.cut)) return false;
    v = 0;
  } else {
    uint64_t unit = 1;
    for (; power < 0; power++) unit *= 10;
    const uint64_t rest = v % unit;
    if (exact && (rest || d.cut)) return false;
    v = v / unit + (rest >= unit - rest);
  }
  if (v > uint64_t(INT64_MAX)) return false;
  value = d.negative ? -int64_t(v) : int64_t(v);
  return true;
}

SPIKELOOM_INLINE bool word_is(const uint8_t*& s, const uint8_t* end, const char* word, int64_t length) {
  if (end - s < length) return false;
  for (int64_t i = 0; i < length; i++)
    if ((s[i] | 0x20) != uint8_t(word[i])) return false;
  s += length;
  return true;
}

// A number of digits alone, as most are, with a delimiter, a blank or the end behind it.
SPIKELOOM_INLINE bool plain(const uint8_t*& s, const uint8_t* end, uint8_t delimiter, int64_t& value) {
  const uint8_t* d = s;
  int64_t v = 0;
  for (; d < end && d - s < 18 && is_digit(*d); d++) v = v * 10 + (*d - '0');
  if (d == s || !(d == end || *d == delimiter || is_blank(*d))) return false;
  value = v, s = d;
  return true;
}

// One line from s to end, without its end: its four numbers; false where it is none of events.
SPIKELOOM_INLINE bool text_line(const uint8_t* s, const uint8_t* end, const TextLayout& layout, int64_t* values) {
  const uint8_t delimiter = uint8_t(layout.delimiter);
  for (int64_t c = 0; c < layout.columns; c++) {
    while (s < end && is_blank(*s) && (delimiter == ' ' || *s != delimiter)) s++;
    int64_t field = 0;
    while (field < 4 && layout.column[field] != c) field++;
    if (field == 4) {
      while (s < end && *s != delimiter && !(delimiter == ' ' && is_blank(*s))) s++;
    } else if ((field || !layout.power) && plain(s, end, delimiter, values[field])) {
    } else if (field == 3 && word_is(s, end, "true", 4)) {
      values[3] = 1;
    } else if (field == 3 && word_is(s, end, "false", 5)) {
      values[3] = 0;
    } else {
      Decimal d;
      if (!decimal(s, end, d)) return false;
      if (!whole(d, field ? 0 : layout.power, field || layout.power == 0, values[field])) return false;
    }
    const bool last = c + 1 == layout.columns;
    const uint8_t* field_end = s;
    while (s < end && is_blank(*s) && (delimiter == ' ' || *s != delimiter)) s++;
    if (last) break;
    if (delimiter == ' ' ? s == field_end : s == end || *s++ != delimiter) return false;
  }
  return s == end && values[3] >= -1 && values[3] <= 1;
}

SPIKELOOM_INLINE int16_t side(int64_t v) { return int16_t(v < 0 || v > INT16_MAX ? -1 : v); }

// Adds the events of the lines; returns the byte behind the last line that was used. `bad`: whether the next is none.
SPIKELOOM_INLINE int64_t text_decode(const uint8_t* data, int64_t size, const TextLayout& layout, bool final,
                                     int64_t* t, int16_t* x, int16_t* y, int8_t* p, int64_t& n, bool& bad) {
  int64_t i = 0;
  bad = false;
  while (i < size) {
    const uint8_t* line = data + i;
    const uint8_t* end = static_cast<const uint8_t*>(memchr(line, '\n', size_t(size - i)));
    const int64_t next = end ? end - data + 1 : size;
    if (!end) end = data + size;
    bad = end - line > longest_line;
    if (bad || (next == size && data[size - 1] != '\n' && !final)) break;
    while (end > line && (is_blank(end[-1]) || end[-1] == '\r')) end--;
    if (end > line) {
      int64_t values[4] = {0, 0, 0, 0};
      bad = !text_line(line, end, layout, values);
      if (bad) break;
      t[n] = values[0], x[n] = side(values[1]), y[n] = side(values[2]), p[n] = values[3] > 0, n++;
    }
    i = next;
  }
  return i;
}

SPIKELOOM_INLINE uint8_t* put_number(uint8_t* s, uint64_t v, int64_t at_least) {
  uint8_t digits[20];
  int64_t n = 0;
  do digits[n++] = uint8_t('0' + v % 10), v /= 10;
  while (v);
  for (; at_least > n; at_least--) *s++ = '0';
  while (n) *s++ = digits[--n];
  return s;
}

// A time in microseconds as one whose unit is 10^power of these.
SPIKELOOM_INLINE uint8_t* put_time(uint8_t* s, int64_t t, int64_t power) {
  if (t < 0) *s++ = '-';
  const uint64_t v = t < 0 ? 0 - uint64_t(t) : uint64_t(t);
  if (power <= 0) {
    s = put_number(s, v, 1);
    for (int64_t k = v ? power : 0; k < 0; k++) *s++ = '0';
    return s;
  }
  uint64_t unit = 1;
  for (int64_t k = 0; k < power; k++) unit *= 10;
  s = put_number(s, v / unit, 1);
  *s++ = '.';
  return put_number(s, v % unit, power);
}

SPIKELOOM_INLINE int64_t text_encode(const int64_t* t, const int16_t* x, const int16_t* y, const int8_t* p, int64_t n,
                                     const TextLayout& layout, uint8_t* bytes) {
  uint8_t* s = bytes;
  for (int64_t i = 0; i < n; i++)
    for (int64_t c = 0; c < 4; c++) {
      if (layout.column[0] == c) s = put_time(s, t[i], layout.power);
      else if (layout.column[1] == c) s = put_number(s, uint64_t(x[i]), 1);
      else if (layout.column[2] == c) s = put_number(s, uint64_t(y[i]), 1);
      else *s++ = uint8_t('0' + p[i]);
      *s++ = c < 3 ? uint8_t(layout.delimiter) : '\n';
    }
  return s - bytes;
}

}  // namespace spikeloom

SPIKELOOM_EXPORT void text_decode(const uint8_t* data, int64_t size, const spikeloom::TextLayout* layout, int64_t final,
                                  int64_t* t, int16_t* x, int16_t* y, int8_t* p, int64_t* n, int64_t* used,
                                  int64_t* bad) {
  bool is_bad;
  *used = spikeloom::text_decode(data, size, *layout, final, t, x, y, p, *n, is_bad);
  *bad = is_bad;
}
SPIKELOOM_EXPORT void text_encode(const int64_t* t, const int16_t* x, const int16_t* y, const int8_t* p, int64_t n,
                                  const spikeloom::TextLayout* layout, uint8_t* bytes, int64_t* size) {
  *size = spikeloom::text_encode(t, x, y, p, n, *layout, bytes);
}
