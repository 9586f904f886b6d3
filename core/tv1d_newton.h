// SPDX-License-Identifier: MIT
// The TV prox of one line by projected Newton steps on its dual.
//
// Method: R. Yeh, Y. Hu, Z. Ren, A. Schwing, "Total Variation Optimization Layers for Computer
// Vision", CVPR 2022, section 3.2, after D. Bertsekas, "Projected Newton Methods for Optimization
// Problems with Simple Constraints", SIAM J. Control and Optimization 20(2), 1982. With D the
// differences between neighbours, the dual of the prox (Eq. 6 there, its sign turned) is
//
//   min f(u) = 1/2 ||x - D^T u||^2   over   |u_e| <= w_e,      y = x - D^T u,   grad f(u) = -D y.
//
// An edge is bound where u_e = +-w_e and y jumps up (down) there: no descent can move it. The other
// edges are the free set S. A step solves H_SS d_S = (D y)_S (Eq. 7), H = D D^T, and goes to the
// projection of u + alpha d on the bounds, with alpha from a line search.
//
// The factorisation is known beforehand: H has 2 on the diagonal and -1 beside it, so H_SS is made
// of blocks, one for each stretch of free edges, and on edge j = 1, 2, ... of a block
//
//   H_SS = L diag((j + 1) / j) L^T,      L_{j, j-1} = -(j - 1) / j.
//
// Hence q_j = q_{j-1} + j (D y)_j and, backwards, d_j = (q_j + j d_{j+1}) / (j + 1): O(n), and it
// needs to remember nothing but j.
//
// Stop: y_S = x - D^T (u + d) is constant along each block. The duality gap between y_S and u is
//
//   1/2 d_S^T (D y)_S + sum over bound e of (w_e |D y_S| - u_e D y_S)
//
// and bounds ||y_S - y*||^2 / 2. Its terms are not negative, nor differences of large numbers, so
// it tells errors far below the square root of the rounding unit. The answer is then the runs that
// the bound edges separate, with values from run.h. All else is computed in double, in units of the
// range of x.
//
// Cost: each step a few passes over the line; memory for 4 doubles per edge, given by the caller.
// Steps are limited; a line that needs more goes to the direct method.
#pragma once

#include <cmath>

#include "core/line.h"
#include "core/run.h"
#include "core/tv1d.h"

namespace jaxtv {

// The state of each edge between two passes.
struct NewtonScratch {
  static constexpr int64_t kDoublesPerEdge = 4;

  Line<double> u;      // the dual
  Line<double> jump;   // D y at u
  Line<double> d;      // the Newton direction
  Line<double> place;  // j >= 1 in the block of a free edge, 0 for a bound one
};

namespace newton {

// A line in units of its range, so that no square over- or underflows. The unit is a power of two,
// which costs no digit.
template <typename Samples, typename Weights>
struct Problem {
  Samples x;
  Weights w;
  int64_t edges;
  double unit;

  JAXTV_HD double Difference(int64_t e) const {
    return double(x[e + 1]) * unit - double(x[e]) * unit;
  }
  JAXTV_HD double Bound(int64_t e) const { return double(w(e)) * unit; }
};

JAXTV_HD inline double Clamp(double value, double bound) {
  return value < -bound ? -bound : value > bound ? bound : value;
}

// Updates `jump` and the free set at u, and solves for d; returns d_S^T (D y)_S.
template <typename Problem>
JAXTV_HD double Direction(const Problem& p, const NewtonScratch& s) {
  constexpr double kRounding = 4 * std::numeric_limits<double>::epsilon();
  double before = 0.0, here = s.u[0], q = 0.0, place = 0.0;
  for (int64_t e = 0; e < p.edges; ++e) {
    const double after = e + 1 < p.edges ? s.u[e + 1] : 0.0;
    const double difference = p.Difference(e), bound = p.Bound(e);
    const double jump = (difference + (after - here)) - (here - before);
    // A jump within rounding of 0 counts as none: ties belong to the free set.
    const double least = kRounding * (std::fabs(difference) + std::fabs(here));
    const bool is_bound =
        (bound == 0.0) | ((here >= bound) & (jump > least)) | ((here <= -bound) & (jump < -least));
    place = is_bound ? 0.0 : place + 1.0;
    q = is_bound ? 0.0 : q + place * jump;
    s.jump[e] = jump;
    s.place[e] = place;
    s.d[e] = q;
    before = here;
    here = after;
  }
  double next = 0.0, product = 0.0;
  for (int64_t e = p.edges - 1; e >= 0; --e) {
    // 0 at a bound edge, where j and q are. The division is not in the chain of dependences.
    const double j = s.place[e], share = 1.0 / (j + 1.0);
    next = s.d[e] * share + (j * share) * next;
    s.d[e] = next;
    product += next * s.jump[e];
  }
  return product;
}

// The bound edges' part of the duality gap between u and the y that a full step leads to.
template <typename Problem>
JAXTV_HD double BoundGap(const Problem& p, const NewtonScratch& s) {
  double gap = 0.0;
  for (int64_t e = 0; e < p.edges; ++e) {
    if (s.place[e] != 0.0) continue;
    const double before = e > 0 ? s.d[e - 1] : 0.0, after = e + 1 < p.edges ? s.d[e + 1] : 0.0;
    const double jump = s.jump[e] + before + after;
    if (jump * s.u[e] < 0.0) gap += 2.0 * p.Bound(e) * std::fabs(jump);
  }
  return gap;
}

// f after a step of size alpha, less f at u. The difference is computed as such, as -<D y, v> +
// 1/2 ||D^T v||^2 for the move v of u, so that it is accurate however small it is.
template <typename Problem>
JAXTV_HD double Change(const Problem& p, const NewtonScratch& s, double alpha) {
  double move = 0.0, sum = 0.0;
  for (int64_t e = 0; e < p.edges; ++e) {
    const double u = s.u[e];
    const double v = Clamp(u + alpha * s.d[e], p.Bound(e)) - u;
    const double slope = v - move;
    sum += 0.5 * slope * slope - s.jump[e] * v;
    move = v;
  }
  return sum + 0.5 * move * move;
}

// Armijo's rule asks for this part of the decrease that the slope promises.
constexpr double kDecrease = 1e-4;
// A step that has to be smaller than this is taken although it fails Armijo's rule. If it leads
// nowhere, the limit on the number of steps ends the method.
constexpr double kSmallest = 1e-12;

// The first step size that meets Armijo's rule. After each one that fails, alpha moves to the
// minimum of the parabola with f's value and slope at 0 and its value at alpha, clamped to
// [0.1, 0.5] alpha.
template <typename Problem>
JAXTV_HD double Backtrack(const Problem& p, const NewtonScratch& s, double product) {
  double alpha = 1.0;
  while (alpha > kSmallest) {
    const double change = Change(p, s, alpha);
    if (change <= -kDecrease * alpha * product) break;
    const double lowest = 0.5 * product * alpha / (change + product * alpha);
    alpha *= lowest < 0.1 ? 0.1 : lowest > 0.5 ? 0.5 : lowest;
  }
  return alpha;
}

// Minimises over u, from 0. The number of steps; max_steps + 1 if they were too few.
template <typename Problem>
JAXTV_HD int64_t Minimize(const Problem& p, const NewtonScratch& s, int64_t max_steps) {
  // The root mean square error of y, in units of the range.
  constexpr double kTolerance = 1e-12;
  const double target = 0.5 * kTolerance * kTolerance * double(p.edges + 1);
  for (int64_t e = 0; e < p.edges; ++e) s.u[e] = 0.0;
  for (int64_t step = 0;; ++step) {
    const double product = Direction(p, s);
    if (0.5 * product <= target && 0.5 * product + BoundGap(p, s) <= target) return step;
    if (step == max_steps) return step + 1;
    const double alpha = Backtrack(p, s, product);
    for (int64_t e = 0; e < p.edges; ++e) s.u[e] = Clamp(s.u[e] + alpha * s.d[e], p.Bound(e));
  }
}

template <typename Samples, typename Weights, typename T>
JAXTV_HD void WriteRuns(const Problem<Samples, Weights>& p, const NewtonScratch& s, Line<T> y) {
  RunWriter<T, Samples> writer(p.x, y);
  int64_t first = 0;
  for (int64_t e = 0; e < p.edges; ++e) {
    if (s.place[e] != 0.0) continue;
    const int sign = s.u[e] > 0.0 ? 1 : s.u[e] < 0.0 ? -1 : 0;  // 0: a weight of 0 pulls nowhere
    writer.Write(first, e, {sign, p.w(e)});
    first = e + 1;
  }
  writer.Write(first, p.edges, {0, T(0)});
}

// The prox of a line that needs solving, and the number of steps.
template <typename Samples, typename Weights, typename T>
JAXTV_HD int64_t SolveLine(const Samples& x, const Weights& w, int64_t n, int64_t max_steps,
                           const NewtonScratch& scratch, Line<T> y) {
  int exponent;
  std::frexp(double(w.range), &exponent);
  const Problem<Samples, Weights> problem{x, w, n - 1, std::ldexp(1.0, -exponent)};
  const int64_t steps = Minimize(problem, scratch, max_steps);
  if (steps > max_steps) {
    jaxtv::SolveLine(x, w, n, y);
    return max_steps;
  }
  WriteRuns(problem, scratch, y);
  return steps;
}

}  // namespace newton

// The prox of one line, as ProxLine, and the number of Newton steps it took, max_steps for a line
// that the direct method had to finish.
template <typename T>
JAXTV_HD int64_t NewtonLine(Line<const T> x, Line<const T> lam, int64_t n, int64_t max_steps,
                            const NewtonScratch& scratch, Line<T> y) {
  if (n == 0) return 0;
  const LineSummary<T> summary = Summarize(x, lam, n);
  if (WriteTrivial(summary, x, n, y)) return 0;
  int64_t steps = 0;
  SolveInUnit(summary, x, lam, n, y, [&](const auto& x, const auto& w) {
    steps = newton::SolveLine(x, w, n, max_steps, scratch, y);
  });
  return steps;
}

}  // namespace jaxtv
