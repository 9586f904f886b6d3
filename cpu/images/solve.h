// SPDX-License-Identifier: MIT
// The TV prox of one image to a certified accuracy.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/image.h"
#include "cpu/images/alternating.h"
#include "cpu/images/certificate.h"

namespace jaxtv {

struct Outcome {
  Certificate certificate;
  int32_t sweeps = 0;
  bool converged = false;  // the bound meets the tolerance
  bool exact = false;      // the bound is at the rounding of T
};

// Error bounds of an image: the one asked for, and the one that the rounding of T allows.
struct Goal {
  double target, rounding;

  double bound() const { return std::max(target, rounding); }
};

// Decides after which sweeps to compute the certificate, which costs about as much as a sweep. The
// residual is free, and the bound falls like a power of it: one below 1 at first, while the regions
// of the image are found. The power is that of the last two tests, within reason.
class Schedule {
 public:
  Schedule(double goal, int64_t max_sweeps) : goal_(goal), max_sweeps_(max_sweeps) {}

  bool Due(int64_t sweeps, double residual) const {
    const double expected =
        tested_ ? 0.95 * bound_ * std::pow(residual / residual_, power_)
                : 1.25 * std::ldexp(0.25, int(std::min<int64_t>(sweeps, 3)) - 1) * residual;
    return sweeps >= max_sweeps_ || sweeps >= latest_ || expected <= goal_;
  }

  void Tested(int64_t sweeps, double residual, double bound) {
    if (tested_ && residual < residual_) {
      power_ = std::clamp(std::log(bound / bound_) / std::log(residual / residual_), 0.7, 1.0);
    }
    tested_ = true;
    latest_ = sweeps + std::max<int64_t>(3, sweeps / 2);
    residual_ = residual;
    bound_ = bound;
  }

 private:
  double goal_;
  int64_t max_sweeps_, latest_ = 16;
  bool tested_ = false;
  double residual_ = 0, bound_ = 0, power_ = 1;  // of the last test
};

// The points that a test tries: the one from all equalities, the one from those that pass the vote,
// or both. One with more than twice the bound of the other is left out until there are twice as
// many sweeps as when it was tried last.
class Candidates {
 public:
  bool VoteFirst() const { return bound_[1] <= bound_[0]; }

  bool Worthwhile(int64_t sweeps, bool vote) const {
    return sweeps >= 2 * tried_[vote] || bound_[vote] <= 2 * bound_[!vote];
  }

  void Tried(int64_t sweeps, bool vote, double bound) {
    tried_[vote] = sweeps;
    bound_[vote] = bound;
  }

 private:
  int64_t tried_[2] = {0, 0};
  double bound_[2] = {std::numeric_limits<double>::infinity(),
                      std::numeric_limits<double>::infinity()};
};

// Sweeps until the error bound of `y` is at the goal, or has stopped improving while the sweeps
// move nothing by more than rounding; at most `max_sweeps` times. Calls run(items, body) to share
// work; body(begin, end) does a part of it. `duals`, one for each axis, or none: feasible duals of
// the edges to start from, replaced by those at the end.
//
// `y` is a point of certificate.h: constant on components, which can be read off its equalities, as
// the derivatives do.
template <typename T, typename Run>
Outcome SolveImage(const Run& run, const Image& image, const std::vector<AxisWeights<T>>& weights,
                   const T* x, Goal goal, int64_t max_sweeps, const std::vector<T*>& duals, T* y) {
  constexpr int kVainTests = 3;  // tests without progress, in a row, that end the sweeps
  const int64_t pixels = image.pixels();
  Outcome outcome;
  Certificate& best = outcome.certificate;
  std::copy(x, x + pixels, y);
  if (max_sweeps <= 0) return outcome;
  Alternating<T> solver(image, weights, x);
  Certifier<T> certifier(image, solver);
  Buffer<T> z(pixels);
  solver.Start(run, duals);
  Schedule schedule(goal.bound(), max_sweeps);
  Candidates candidates;
  int vain = 0;
  for (int64_t k = 1; k <= max_sweeps && best.bound > goal.bound() && vain < kVainTests; ++k) {
    solver.Sweep(run);
    outcome.sweeps = int32_t(k);
    const double residual = std::sqrt(solver.residual());
    const bool fixed = residual <= goal.rounding;
    if (image.axes() > 1 && !schedule.Due(k, residual) && (!fixed || vain > 0)) continue;
    const double before = best.bound;
    certifier.Update(run);
    double bound = std::numeric_limits<double>::infinity();
    const bool vote_first = candidates.VoteFirst();
    for (const bool vote : {vote_first, !vote_first}) {
      if (image.axes() == 1 && vote) continue;
      if (vote != vote_first && !fixed && !candidates.Worthwhile(k, vote)) continue;
      const Certificate found = certifier.Candidate(run, vote, z.data());
      candidates.Tried(k, vote, found.bound);
      bound = std::min(bound, found.bound);
      if (found.gap < best.gap) {
        best = found;
        std::copy(z.data(), z.data() + pixels, y);
      }
      if (best.bound <= goal.bound()) break;
    }
    vain = fixed && best.bound > 0.9 * before ? vain + 1 : 0;
    schedule.Tested(k, residual, bound);
  }
  for (size_t a = 0; a < duals.size(); ++a) {
    std::copy(certifier.p(int(a)), certifier.p(int(a)) + pixels, duals[a]);
  }
  outcome.converged = best.bound <= goal.target;
  outcome.exact = best.bound <= goal.rounding;
  return outcome;
}

}  // namespace jaxtv
