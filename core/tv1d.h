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
// Rounding: samples and levels are taken less the first sample of the run. A level is raised or
// lowered by a share of what its path is too high or low; what a level far from 0 rounds off of
// that would add up over the samples of the run.
//
// Reach: a candidate starts a bound beyond x, and a bound far above the samples would round them
// off. Where each edge has its own weight, the bounds of the walk from k0 are therefore min(w_k,
// r_k),
//
//   r_k = |u_{k0-1}| + 2 (k - k0 + 1) (max x - min x),
//
// which no solution comes near, since |y - x| <= max x - min x. Nor do they change the walk: where
// the path of `low` touches r_k, low is the mean of x since k0 less at least 2 (max x - min x), so
// it lies below all samples, and its path falls nowhere until it has touched some w_k < r_k, which
// is then where the run may end. Likewise `high`.
//
// Cost: no memory; 1 to 2.5 steps per sample on ordinary data, but quadratic on smooth ramps with
// large weights. So steps are budgeted, and what is left of a line over budget goes to another
// method: tv1d_divide.h, which needs no memory either, or a faster one that does.
#pragma once

#include <math.h>

#include <limits>

#include "core/line.h"
#include "core/run.h"
#include "core/tv1d_divide.h"

namespace jaxtv {

// Facts about a line that decide how it is solved.
template <typename T>
struct LineSummary {
  bool valid = true;      // all x finite, all weights >= 0
  bool weighted = false;  // some weight is positive
  T low, high;            // the least and the greatest x
};

template <typename T>
JAXTV_HD bool IsFinite(T value) {
  return value - value == T(0);
}

template <typename T>
JAXTV_HD LineSummary<T> Summarize(Line<const T> x, Line<const T> lam, int64_t n) {
  LineSummary<T> s;
  s.low = s.high = x[0];
  for (int64_t k = 0; k < n; ++k) {
    s.valid = s.valid && IsFinite(x[k]);
    s.low = x[k] < s.low ? x[k] : s.low;
    s.high = x[k] > s.high ? x[k] : s.high;
  }
  const int64_t weights = lam.stride == 0 ? 1 : n - 1;
  for (int64_t k = 0; k < weights && n > 1; ++k) {
    s.valid = s.valid && lam[k] >= T(0);
    s.weighted = s.weighted || lam[k] > T(0);
  }
  return s;
}

// The end of a run: its last sample and the sign of the jump there, 0 at the end of the line.
struct RunEnd {
  int64_t last;
  int jump;
};

template <bool kPerEdge, typename Samples, typename Weights, typename T>
JAXTV_HD RunEnd WalkRunOf(const Samples& x, const Weights& w, int64_t n, int64_t k0, Jump<T> left,
                          int64_t* steps) {
  const T carried = -left.pull(), least_reach = left.sign == 0 ? T(0) : left.weight;
  const T shared = w(0), growth = T(2) * w.range;
  const auto bound = [&](int64_t k) {
    if (!kPerEdge) return k < w.count ? shared : T(0);
    const T reach = least_reach + T(k - k0 + 1) * growth, weight = w(k);
    return weight < reach ? weight : reach;
  };
  int64_t k_low = k0, k_high = k0;
  const T first_w = bound(k0), first_x = x[k0];
  T path_low = first_w, path_high = -first_w;
  T low = carried - first_w, high = carried + first_w;
  for (int64_t k = k0 + 1; k < n; ++k) {
    const T next_w = bound(k);
    const T sample = x[k] - first_x;
    path_low += sample - low;
    path_high += sample - high;
    // One branch for what is most frequent: both paths stay between their bounds.
    const T height_low = fabs(path_low), height_high = fabs(path_high);
    if ((height_low > height_high ? height_low : height_high) < next_w) continue;
    const int jump = path_low < -next_w ? -1 : path_high > next_w ? 1 : 0;
    if (jump != 0) {
      *steps += k - k0 + 1;
      return {jump < 0 ? k_low : k_high, jump};
    }
    const T inverse = T(1) / T(k - k0 + 1);
    if (path_low >= next_w) {
      low += (path_low - next_w) * inverse;
      path_low = next_w;
      k_low = k;
    }
    if (path_high <= -next_w) {
      high += (path_high + next_w) * inverse;
      path_high = -next_w;
      k_high = k;
    }
  }
  return {n - 1, 0};
}

// Walks from the start k0 of a run, behind the jump `left`, to its end. Adds to `steps` the number
// of samples looked at.
template <typename Samples, typename Weights, typename T>
JAXTV_HD RunEnd WalkRun(const Samples& x, const Weights& w, int64_t n, int64_t k0, Jump<T> left,
                        int64_t* steps) {
  return w.per_edge ? WalkRunOf<true>(x, w, n, k0, left, steps)
                    : WalkRunOf<false>(x, w, n, k0, left, steps);
}

// How many samples a walk may have looked at again when it stands at sample `start` of a line of n.
// The method that takes over costs about 8 looks at each sample that is left. A walk that may spend
// as much before it gives up costs, together with that method, at most about twice the cheaper of
// the two. Another 2 n are for lines that are slow at first only.
constexpr int kRepeats = 8;
JAXTV_HD JAXTV_ALWAYS_INLINE constexpr int64_t RepeatBudget(int64_t n, int64_t start) {
  return 2 * n + 64 + kRepeats * start;
}

// Writes the runs of the line. Returns where the next one starts: n, unless the budget ran out.
template <typename Samples, typename Weights, typename T>
JAXTV_HD int64_t WalkRuns(const Samples& x, const Weights& w, int64_t n,
                          RunWriter<T, Samples>& writer) {
  int64_t steps = 0, start = 0;
  while (start < n && steps - start <= RepeatBudget(n, start)) {
    const RunEnd end = WalkRun(x, w, n, start, writer.left(), &steps);
    writer.Write(start, end.last, {end.jump, w(end.last)});
    start = end.last + 1;
  }
  return start;
}

template <typename T>
JAXTV_HD bool NeedsSolving(const LineSummary<T>& s) {
  return s.valid && s.weighted && s.low != s.high;
}

// Writes the prox of a line that needs no solving; false if it needs it.
template <typename T>
JAXTV_HD bool WriteTrivial(const LineSummary<T>& summary, Line<const T> x, int64_t n, Line<T> y) {
  if (!summary.valid) {
    for (int64_t k = 0; k < n; ++k) y[k] = std::numeric_limits<T>::quiet_NaN();
    return true;
  }
  if (NeedsSolving(summary)) return false;
  for (int64_t k = 0; k < n; ++k) y[k] = x[k];  // bit for bit, signed zeros included
  return true;
}

// Calls solve(x, w) for a line that needs solving, with its samples and weights in a unit in which
// no sum of them over- or underflows, and multiplies the y that it writes by that.
template <typename T, typename Solve>
JAXTV_HD void SolveInUnit(const LineSummary<T>& summary, Line<const T> x, Line<const T> lam,
                          int64_t n, Line<T> y, const Solve& solve) {
  const bool per_edge = lam.stride != 0;
  const T unit = UnitOf(summary.low, summary.high);
  if (unit == T(1)) {
    solve(x, EdgeWeights<T>(lam, per_edge, n, summary.high - summary.low));
    return;
  }
  using Scaled = ScaledLine<T>;
  const T low = summary.low * unit, high = summary.high * unit;
  solve(Scaled{x, unit}, EdgeWeights<T, Scaled>({lam, unit}, per_edge, n, high - low));
  for (int64_t k = 0; k < n; ++k) {
    // No prox leaves the range of its samples, but for rounding, which could overflow here.
    y[k] = (y[k] < low ? low : y[k] > high ? high : y[k]) * (T(1) / unit);
  }
}

// Solves samples start..n-1 of a line whose runs before the writer has written.
struct DivideRest {
  template <typename Samples, typename Weights, typename T>
  JAXTV_HD void operator()(const Samples& x, const Weights& w, int64_t start, int64_t n, Line<T> y,
                           RunWriter<T, Samples>& writer) const {
    DivideRuns(x, w, start, n, y, writer);
  }
};

// The prox of a line that needs solving; `rest` solves what a walk over budget leaves.
template <typename Samples, typename Weights, typename T, typename Rest = DivideRest>
JAXTV_HD void SolveLine(const Samples& x, const Weights& w, int64_t n, Line<T> y,
                        const Rest& rest = {}) {
  RunWriter<T, Samples> writer(x, y);
  const int64_t start = WalkRuns(x, w, n, writer);
  if (start < n) rest(x, w, start, n, y, writer);
}

// The prox of one line. `lam` has stride 0 (one weight) or one weight for each of the n - 1 edges.
template <typename T, typename Rest = DivideRest>
JAXTV_HD void ProxLine(Line<const T> x, Line<const T> lam, int64_t n, Line<T> y,
                       const Rest& rest = {}) {
  if (n == 0) return;
  const LineSummary<T> summary = Summarize(x, lam, n);
  if (WriteTrivial(summary, x, n, y)) return;
  SolveInUnit(summary, x, lam, n, y,
              [&](const auto& x, const auto& w) { SolveLine(x, w, n, y, rest); });
}

}  // namespace jaxtv
