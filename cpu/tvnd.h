// SPDX-License-Identifier: MIT
// The TV prox of one image to a certified accuracy.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cpu/alternating.h"
#include "cpu/certificate.h"
#include "cpu/image.h"

namespace jaxtv {

struct Outcome {
  Certificate certificate;
  int32_t sweeps = 0;
  bool converged = false;  // the bound meets the tolerance
  bool exact = false;      // the bound is at the rounding of T
};

// |x - mean(x)| and |x| of an image, its range, and whether every pixel is finite.
struct Scale {
  double deviation, norm, range;
  bool finite;
};

template <typename T>
Scale ScaleOf(const T* x, int64_t pixels) {
  double sum = 0, square = 0;
  T low = x[0], high = x[0];
  bool finite = true;
  for (int64_t k = 0; k < pixels; ++k) {
    sum += double(x[k]);
    square += double(x[k]) * double(x[k]);
    low = std::min(low, x[k]);
    high = std::max(high, x[k]);
    finite = finite && std::isfinite(x[k]);
  }
  const double mean = sum / double(pixels);
  double deviation = 0;
  for (int64_t k = 0; k < pixels; ++k) deviation += (double(x[k]) - mean) * (double(x[k]) - mean);
  return {std::sqrt(deviation), std::sqrt(square), double(high) - double(low), finite};
}

// When to look at the certificate next: it falls about like 1 / sweeps^2.
inline int64_t NextTest(int64_t sweeps, double bound, double target) {
  const double factor = std::min(std::max(std::pow(bound / target, 0.45), 1.15), 1.4);
  return std::max(sweeps + 1, int64_t(std::ceil(double(sweeps) * factor)));
}

// Sweeps until the error bound of `y` is at most `tol` times the deviation of x or at the rounding
// of T, or improves no more although the sweeps move nothing by more than that; at most
// `max_sweeps` times. Calls run(items, body) to share work; body(begin, end) does a part of it.
//
// `y` is always a point of certificate.h: it is constant on components, its own equalities say
// which, and so do its derivatives.
template <typename T, typename Run>
Outcome SolveImage(const Run& run, const Image& image, const std::vector<AxisWeights<T>>& weights,
                   const T* x, const Scale& scale, double tol, int64_t max_sweeps, T* y) {
  constexpr int64_t kFirstTest = 4, kFirstUnion = 20;
  constexpr int kVainTests = 6;
  const double target = tol * scale.deviation;
  const double rounding = double(std::numeric_limits<T>::epsilon()) * scale.norm;
  const double goal = std::max(target, rounding);
  const int64_t pixels = image.pixels();
  Outcome outcome;
  Certificate& best = outcome.certificate;
  std::copy(x, x + pixels, y);
  Alternating<T> solver(image, weights, x);
  Certifier<T> certifier(image, solver);
  std::vector<T> z(pixels);
  solver.Start(run);
  int64_t next = image.axes() == 1 ? 1 : kFirstTest;
  int vain = 0;
  for (int64_t k = 1; k <= max_sweeps && best.bound > goal && vain < kVainTests; ++k) {
    solver.Sweep(run);
    outcome.sweeps = int32_t(k);
    const bool fixed = std::sqrt(solver.residual()) <= rounding;
    if (k < next && k < max_sweeps && (!fixed || vain > 0)) continue;
    const double before = best.bound;
    certifier.Update(run);
    for (const bool vote : {true, false}) {
      if (vote ? image.axes() == 1 : image.axes() > 1 && k < kFirstUnion && !fixed) continue;
      const Certificate found = certifier.Candidate(run, vote, z.data());
      if (found.gap < best.gap) {
        best = found;
        std::copy(z.begin(), z.end(), y);
      }
      if (best.bound <= goal) break;
    }
    vain = fixed && best.bound > 0.9 * before ? vain + 1 : 0;
    next = NextTest(k, best.bound, goal);
  }
  outcome.converged = best.bound <= target;
  outcome.exact = best.bound <= rounding;
  return outcome;
}

}  // namespace jaxtv
