// SPDX-License-Identifier: MIT
// Codes of two bits for each sample, from which a half sweep can be reversed.
//
// A half sweep solves every line along one axis, y = prox(z). Its derivative is the mean over the
// runs of y, and a weight's is read off at the jumps between runs (core/run.h,
// jaxtv/_operators/sweeps.py). So a code tells for each sample how y goes on to the next one. The
// last sample of a line has no next one; there the code tells what holds for the whole line.
#pragma once

#include <cstdint>
#include <limits>

#include "core/line.h"
#include "core/run.h"

namespace jaxtv {

// A jump to a next sample that is lower or higher; kCut: no jump, but no weight ties the two.
enum EdgeCode : uint8_t { kTied = 0, kDown = 1, kUp = 2, kCut = 3 };

// kFree: the one weight of the line is 0, so in x the derivative is the identity, although a weight
// that grows would tie equal samples. kBad: there is no prox.
enum LineCode : uint8_t { kPlain = 0, kFree = 1, kBad = 3 };

// A plane holds the codes of this many half sweeps, two bits each, the first one lowest.
constexpr int64_t kCodesPerByte = 4;
constexpr uint8_t kAllBad = 0xff;

JAXTV_HD constexpr int64_t CodePlanes(int64_t half_sweeps) {
  return (half_sweeps + kCodesPerByte - 1) / kCodesPerByte;
}

JAXTV_HD constexpr int CodeShift(int64_t half_sweep) { return int(half_sweep % kCodesPerByte) * 2; }

template <typename T>
JAXTV_HD uint8_t CodeOf(T here, T next) {
  return uint8_t((next < here) * kDown | (next > here) * kUp);
}

// The sign of the jump that a code tells of.
JAXTV_HD constexpr int SignOf(int code) { return (code == kUp) - (code == kDown); }

// The reverse of a half sweep on one line, whose codes are code(k): what the next half sweep gave
// back, `following`, less what this axis has given already, `total`, is averaged over runs and
// added to `total`. Calls weigh(k, s D m) at the jump from sample k, to be subtracted from the
// cotangent of its weight.
template <typename Code, typename T, typename Weigh>
JAXTV_HD void ReverseLine(const Code& code, Line<const T> following, int64_t n, Line<T> total,
                          const Weigh& weigh) {
  struct Difference {
    Line<const T> a;
    Line<T> b;
    JAXTV_HD T operator[](int64_t k) const { return a[k] - b[k]; }
  };
  const Difference v{following, total};
  const int whole = code(n - 1);
  T before = T(0);
  for (int64_t first = 0; first < n;) {
    int64_t last = first;
    while (last < n - 1 && code(last) == kTied) ++last;
    const T mean = whole == kBad ? NoDerivative(v[first]) : RunMean(v, first, last);
    if (first > 0) weigh(first - 1, T(SignOf(code(first - 1))) * (mean - before));
    before = mean;
    for (; first <= last; ++first) total[first] += whole == kFree ? v[first] : mean;
  }
}

}  // namespace jaxtv
