// SPDX-License-Identifier: MIT
// The exact TV prox of one line with a weight on each edge:
//
//   y = argmin 1/2 sum_k (y_k - x_k)^2 + sum_k w_k |y_{k+1} - y_k|.
//
// Method: L. Condat, "A Direct Algorithm for 1-D Total Variation Denoising", IEEE Signal Processing
// Letters 20(11), 2013, with a weight per edge. The dual u_k = sum_{i<=k} (y_i - x_i) satisfies
// |u_k| <= w_k, with u_k = w_k sign(y_{k+1} - y_k) at a jump, and ends at u_{n-1} = 0. Walking
// along the line from the start k0 of a run, two candidate levels are kept: `low`, the smallest
// that can still be right, and `high`, the largest, together with the heights of their dual paths
// (-u). When not even `low` keeps its path above -w, the run must end by a jump down at the last
// place where that path touched +w; `high` likewise by a jump up.
//
// Departure from the paper: w_{n-1} = 0 states the boundary condition, which makes the tail of the
// line the same code as the rest; and every jump restarts the state afresh, so an index is never
// beyond the current position. Each jump advances k0, hence the loop ends in any rounding.
//
// Cost: no memory; 1 to 2.5 steps per sample on ordinary data, but quadratic on smooth ramps with
// large weights. So steps are budgeted, and a line over budget goes to tv1d_divide.h from where it
// stands: after a jump, the rest of the line depends on that jump alone.
#pragma once

#include <limits>

#include "core/line.h"
#include "core/run.h"
#include "core/tv1d_divide.h"

namespace jaxtv {

// What must be known of a line before it is solved.
template <typename T>
struct LineSummary {
  bool valid = true;      // all x finite, all weights >= 0
  bool weighted = false;  // some weight is positive
  T range = T(0);         // max x - min x
};

template <typename T>
JAXTV_HD bool IsFinite(T value) {
  return value - value == T(0);
}

template <typename T>
JAXTV_HD LineSummary<T> Summarize(Line<const T> x, Line<const T> lam, int64_t n) {
  LineSummary<T> s;
  T lo = x[0], hi = x[0];
  for (int64_t k = 0; k < n; ++k) {
    s.valid = s.valid && IsFinite(x[k]);
    lo = x[k] < lo ? x[k] : lo;
    hi = x[k] > hi ? x[k] : hi;
  }
  s.range = hi - lo;
  const int64_t weights = lam.stride == 0 ? 1 : n - 1;
  for (int64_t k = 0; k < weights && n > 1; ++k) {
    s.valid = s.valid && lam[k] >= T(0);
    s.weighted = s.weighted || lam[k] > T(0);
  }
  return s;
}

// Finds the runs of the line from its start. False if the budget ran out; then the runs before
// `*start` are written.
template <typename T>
JAXTV_HD bool WalkRuns(Line<const T> x, EdgeWeights<T> w, int64_t n, int64_t budget,
                       RunWriter<T>& writer, int64_t* start) {
  int64_t k0 = 0;
  while (budget > 0) {
    const T carried = T(-writer.left().pull());
    int64_t k = k0, k_low = k0, k_high = k0;
    T path_low = w(k0), path_high = -w(k0);
    T low = x[k0] + carried - w(k0), high = x[k0] + carried + w(k0);
    int jump = 0;
    while (k < n - 1 && --budget > 0) {
      const T next_w = w(k + 1);
      path_low += x[k + 1] - low;
      path_high += x[k + 1] - high;
      jump = path_low < -next_w ? -1 : path_high > next_w ? 1 : 0;
      if (jump != 0) break;
      ++k;
      const T length = T(k - k0 + 1);
      if (path_low >= next_w) {
        low += (path_low - next_w) / length;
        path_low = next_w;
        k_low = k;
      }
      if (path_high <= -next_w) {
        high += (path_high + next_w) / length;
        path_high = -next_w;
        k_high = k;
      }
    }
    if (jump == 0 && k == n - 1) {
      writer.Write(k0, n - 1, {0, T(0)});
      return true;
    }
    if (jump == 0) break;
    const int64_t last = jump < 0 ? k_low : k_high;
    writer.Write(k0, last, {jump, w(last)});
    k0 = last + 1;
  }
  *start = k0;
  return false;
}

// The prox of one line. `lam` has stride 0 (one weight) or one weight for each of the n - 1 edges.
template <typename T>
JAXTV_HD void ProxLine(Line<const T> x, Line<const T> lam, int64_t n, Line<T> y) {
  if (n == 0) return;
  const LineSummary<T> summary = Summarize(x, lam, n);
  if (!summary.valid) {
    for (int64_t k = 0; k < n; ++k) y[k] = std::numeric_limits<T>::quiet_NaN();
    return;
  }
  if (!summary.weighted || summary.range == T(0)) {  // bit for bit, signed zeros included
    for (int64_t k = 0; k < n; ++k) y[k] = x[k];
    return;
  }
  // |u| never exceeds n/2 times the range, so larger (also infinite) weights change nothing.
  const EdgeWeights<T> w{lam, T(n) * summary.range, n - 1};
  RunWriter<T> writer(x, y);
  int64_t start = 0;
  constexpr int64_t kStepsPerSample = 6;
  if (!WalkRuns(x, w, n, kStepsPerSample * n + 64, writer, &start)) {
    DivideRuns(x, w, start, n, y, writer);
  }
}

}  // namespace jaxtv
