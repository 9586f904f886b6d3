// SPDX-License-Identifier: MIT
// Conditions on the TV prox of one line and on its derivative, in long double, from the
// operands and results alone.
//
// Optimality. y is the prox of x if and only if u_k = sum_{i <= k} (y_i - x_i) satisfies
//
//   |u_k| <= w_k,   u_k = w_k sign(y_{k+1} - y_k) where y jumps,   u = 0 at the end.
//
// Rounding. The prox does not expand distances in the maximum norm: it is monotone, and it commutes
// with adding a constant. So where the conditions hold exactly for samples x + e, |e_k| <= r, no
// sample of y is further than r from the prox of x. Such an e exists if and only if its sums
// E_k = sum_{i <= k} e_i can be chosen with steps of at most r in the intervals
//
//   u_k - w_k <= E_k <= u_k + w_k,   E_k = u_k - w_k sign(y_{k+1} - y_k) at a jump,   E = u
//
// at the end: one pass, which carries the interval of all E_k that can still be right. `Error`
// below is the least r, in units of eps (max |x| + min(max w, lambda_max)); eps is that of the
// type. A level is the mean of a run plus (+-w +-w) / length, and its terms are rounded a few
// times.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "core/line.h"

namespace fuzz {

using jaxtv::Line;
using Real = long double;

template <typename T>
struct LineOf {
  Line<const T> x, lam, y;
  int64_t n;

  Real W(int64_t edge) const { return Real(lam[edge]); }
  int Jump(int64_t edge) const { return (y[edge + 1] > y[edge]) - (y[edge + 1] < y[edge]); }
};

// kProx such units are the smallest normal number: errors below it are ignored.
template <typename T>
constexpr Real kSmallest = Real(std::numeric_limits<T>::min()) / 8;

template <typename T>
bool SameBits(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

// Size of a line: the largest sample, its range, the largest weight, lambda_max.
struct Size {
  Real most = 0, range = 0, weight = 0, lambda_max = 0;
};

template <typename T>
Size SizeOf(const LineOf<T>& line) {
  Size size;
  Real lo = line.x[0], hi = line.x[0], sum = 0, path = 0;
  for (int64_t k = 0; k < line.n; ++k) {
    lo = std::min(lo, Real(line.x[k]));
    hi = std::max(hi, Real(line.x[k]));
    sum += line.x[k];
    if (k + 1 < line.n) size.weight = std::max(size.weight, line.W(k));
  }
  for (int64_t k = 0; k + 1 < line.n; ++k) {
    path += line.x[k] - sum / Real(line.n);
    size.lambda_max = std::max(size.lambda_max, std::fabs(path));
  }
  size.most = std::max(std::fabs(lo), std::fabs(hi));
  size.range = hi - lo;
  return size;
}

// Whether there is an e with |e_k| <= r.
template <typename T>
bool IsProxWithin(const LineOf<T>& line, Real r) {
  Real u = 0, lo = 0, hi = 0;
  for (int64_t k = 0; k < line.n; ++k) {
    u += Real(line.y[k]) - Real(line.x[k]);
    lo -= r;
    hi += r;
    const int jump = k + 1 < line.n ? line.Jump(k) : 0;
    const Real w = k + 1 < line.n ? line.W(k) : 0;
    lo = std::max(lo, jump < 0 ? u + w : u - w);
    hi = std::min(hi, jump > 0 ? u - w : u + w);
    if (!(lo <= hi)) return false;
  }
  return true;
}

// The least r of a line, in its unit, if that is more than `known`; else `known`. Infinite if no r
// up to 2^40 will do. `extra` adds to the unit.
template <typename T>
Real Error(const LineOf<T>& line, Real extra, Real known) {
  const Size size = SizeOf(line);
  const Real eps = std::numeric_limits<T>::epsilon();
  const Real unit =
      eps * (size.most + std::min(size.weight, size.lambda_max)) + kSmallest<T> + extra;
  Real lo = known, hi = known;
  while (!IsProxWithin(line, hi * unit)) {
    lo = hi;
    hi = std::max(2 * hi, Real(1) / 64);
    if (hi > 0x1p40) return std::numeric_limits<Real>::infinity();
  }
  while (hi - lo > hi / 64) {
    const Real middle = (lo + hi) / 2;
    (IsProxWithin(line, middle * unit) ? hi : lo) = middle;
  }
  return hi;
}

// Calls run(first, last) for each maximal stretch of equal y that no edge of weight 0 cuts, if
// `cut`.
template <typename T, typename Run>
void ForRuns(const LineOf<T>& line, bool cut, const Run& run) {
  for (int64_t first = 0; first < line.n;) {
    int64_t last = first;
    while (last + 1 < line.n && line.Jump(last) == 0 && !(cut && line.W(last) == 0)) ++last;
    run(first, last);
    first = last + 1;
  }
}

// How far the level of a run is from mean(x) + (s_r w_r - s_l w_l) / length, in units of
// eps (4 range + max |x|): what core/run.h rounds, in the order it does.
template <typename T>
Real LevelError(const LineOf<T>& line, Real extra) {
  const Size size = SizeOf(line);
  const Real unit =
      std::numeric_limits<T>::epsilon() * (4 * size.range + size.most) + kSmallest<T> + extra;
  Real worst = 0;
  ForRuns(line, false, [&](int64_t first, int64_t last) {
    Real sum = 0;
    for (int64_t k = first; k <= last; ++k) sum += Real(line.x[k]) - Real(line.x[first]);
    if (first > 0) sum -= line.Jump(first - 1) * line.W(first - 1);
    if (last + 1 < line.n) sum += line.Jump(last) * line.W(last);
    const Real level = Real(line.x[first]) + sum / Real(last - first + 1);
    worst = std::max(worst, std::fabs(level - Real(line.y[first])) / unit);
  });
  return worst;
}

// The derivative pulled back: x_bar the mean of v over each run, lam_bar = -sign(D y) D x_bar.
template <typename T>
struct PulledBack {
  Line<const T> v, x_bar, lam_bar;
  bool per_edge;
};

// The largest error in units of eps (2 range of v + max |v|), at a sample or an edge; of the sum
// of a line that has one weight, as many units as there are jumps are shared. Infinite where x_bar
// is not constant on a run, or lam_bar not 0 within one.
template <typename T>
Real PullBackError(const LineOf<T>& line, const PulledBack<T>& p) {
  const Real infinity = std::numeric_limits<Real>::infinity();
  const bool untied = !p.per_edge && line.n > 0 && line.lam[0] == T(0);
  Real lo = p.v[0], hi = p.v[0], worst = 0, before = 0, total = 0, jumps = 1;
  for (int64_t k = 0; k < line.n; ++k) {
    lo = std::min(lo, Real(p.v[k]));
    hi = std::max(hi, Real(p.v[k]));
  }
  const Real unit =
      std::numeric_limits<T>::epsilon() * (2 * (hi - lo) + std::max(std::fabs(lo), std::fabs(hi))) +
      kSmallest<T>;
  ForRuns(line, p.per_edge, [&](int64_t first, int64_t last) {
    Real sum = 0;
    for (int64_t k = first; k <= last; ++k) sum += p.v[k];
    const Real mean = sum / Real(last - first + 1);
    for (int64_t k = first; k <= last; ++k) {
      const bool same = untied ? SameBits(T(p.x_bar[k]), T(p.v[k])) : p.x_bar[k] == p.x_bar[first];
      if (!same) worst = infinity;
      if (p.per_edge && k < last && p.lam_bar[k] != T(0)) worst = infinity;
    }
    if (!untied) worst = std::max(worst, std::fabs(mean - Real(p.x_bar[first])) / unit);
    const int jump = first > 0 ? line.Jump(first - 1) : 0;
    const Real slope = -jump * (mean - before);
    if (p.per_edge && first > 0) {
      worst = std::max(worst, std::fabs(slope - Real(p.lam_bar[first - 1])) / (2 * unit));
    }
    total += slope;
    jumps += jump != 0;
    before = mean;
  });
  if (p.per_edge) return worst;
  return std::max(worst, std::fabs(total - Real(p.lam_bar[0])) / (2 * jumps * unit));
}

}  // namespace fuzz
