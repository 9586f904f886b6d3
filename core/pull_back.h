// SPDX-License-Identifier: MIT
// The derivative of the TV prox of one line, pulled back.
//
// With y the prox, s = sign(D y) and P the mean over each run of equal y (core/run.h),
//
//   x_bar = P v,      lam_bar_e = -s_e (D P v)_e
//
// for a cotangent v of y: one pass over the runs, from the last to the first. A line with one
// weight gets the sum of its lam_bar_e.
//
// An edge of weight 0 ties nothing, even if its ends are equal: it cuts a run in two. But one
// weight for all edges, when it grows from 0, ties equal neighbours: there, lam_bar is the
// derivative from that side, by the runs, while x_bar is v.
#pragma once

#include "core/run.h"

namespace jaxtv {

// -s_e (D P v)_e at an edge, from the levels of y and the means of v beside it.
template <typename T>
JAXTV_HD T EdgeSlope(T level, T mean, T right_level, T right_mean) {
  if (level == right_level) return T(0);
  return right_level < level ? right_mean - mean : mean - right_mean;
}

// x_bar of a line whose only weight is 0: v, where there is a prox.
template <typename T>
JAXTV_HD void CopyCotangent(Line<const T> y, Line<const T> v, int64_t n, Line<T> x_bar) {
  for (int64_t k = 0; k < n; ++k) x_bar[k] = y[k] == y[k] ? T(v[k]) : NoDerivative(v[k]);
}

// `lam_bar`: a number for each edge if lam.stride is not 0, else one. `x_bar` may be `v`, and
// lam_bar[k] may lie where y[k + 1] does.
template <typename T>
JAXTV_HD void PullBackLine(Line<const T> y, Line<const T> lam, Line<const T> v, int64_t n,
                           Line<T> x_bar, Line<T> lam_bar) {
  const bool per_edge = lam.stride != 0;
  const bool untied = !per_edge && n > 0 && lam[0] == T(0);
  LongSum<T> total;
  T right_level = T(0), right_mean = T(0);
  for (int64_t end = n; end > 0;) {
    const T level = y[end - 1];
    int64_t first = end - 1;
    while (first > 0 && y[first - 1] == level && !(per_edge && lam[first - 1] == T(0))) --first;
    const T mean = level == level ? RunMean(v, first, end - 1) : NoDerivative(v[first]);
    if (end < n) {
      const T slope = EdgeSlope(level, mean, right_level, right_mean);
      total.Add(slope);
      if (per_edge) lam_bar[end - 1] = slope;
    }
    for (int64_t k = first; per_edge && k < end - 1; ++k) lam_bar[k] = T(0);
    for (int64_t k = first; k < end; ++k) x_bar[k] = untied && level == level ? T(v[k]) : mean;
    right_level = level;
    right_mean = mean;
    end = first;
  }
  if (!per_edge) lam_bar[0] = T(total.Total());
}

}  // namespace jaxtv
