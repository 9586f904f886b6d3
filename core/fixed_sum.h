// SPDX-License-Identifier: MIT
// Sums that do not depend on the order of their terms, so that threads may add them by atomics.
//
// Terms are rounded to whole multiples of one quantum and added as integers, which is associative.
// With |v| < 2^E for all of them, a term is taken for a whole number of 2^(E-31), which has 32
// bits, and what that rounds off for a whole number of 2^(E-62); 2^31 terms overflow neither sum.
// So the rounding of the terms moves the mean by at most 2^(E-63), 2^-62 of the largest term.
#pragma once

#include <math.h>

#include <cstdint>
#include <cstring>

#include "core/line.h"

namespace jaxtv {

struct FixedTerm {
  int64_t high, low;
};

constexpr int kNotFinite = 2047;

// E + 1022, as IEEE 754 has it; kNotFinite for an infinity or NaN.
JAXTV_HD inline int ExponentOf(double v) {
  uint64_t bits;
  memcpy(&bits, &v, sizeof(bits));
  return int(bits >> 52) & 2047;
}

// `exponent`: the largest of all terms. Where one is not finite, a term says of which sign.
JAXTV_HD inline FixedTerm ToFixed(double v, int exponent) {
  if (exponent == kNotFinite) {
    const bool counts = ExponentOf(v) == kNotFinite;
    return {counts && !(v < 0), counts && !(v > 0)};
  }
  const double scaled = ldexp(v, 1053 - exponent);
  const int64_t high = llrint(scaled);
  return {high, int64_t(llrint(ldexp(scaled - double(high), 31)))};
}

JAXTV_HD inline double FixedMean(FixedTerm sum, int64_t count, int exponent) {
  if (exponent == kNotFinite) {
    const double infinity = HUGE_VAL;
    return (sum.high > 0 ? infinity : 0.0) - (sum.low > 0 ? infinity : 0.0);
  }
  const double total = double(sum.high) + ldexp(double(sum.low), -31);
  return ldexp(total / double(count), exponent - 1053);
}

}  // namespace jaxtv
