// SPDX-License-Identifier: MIT
// The schedule of the primal-dual method of jaxtv/_plain/isotropic.py: its step lengths, its
// relaxation, and when the certificate is looked at.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/line.h"

namespace jaxtv {

constexpr double kRelaxation = 1.9;

// Data weights below this fraction of the largest ask for longer steps.
constexpr double kVaried = 0.25;

// The lengths of the steps of an iteration.
template <typename T>
struct StepLengths {
  T primal, dual, relaxation;
};

// Those of iteration k = 1, 2, ... of an image with so many axes. The result of an iteration that
// is tested is not relaxed: its duals are feasible, but for rounding.
template <typename T>
JAXTV_HD inline StepLengths<T> StepsOf(int64_t k, int axes, bool varied, bool tested) {
  const T number = T(k);
  // In float32 longer dual steps multiply rounding of duals, and shorter primal ones lose to that
  // of the image what pulls at pixels without data.
  const T shortest = sizeof(T) == sizeof(float) ? T(varied ? 0.15 : 0.003) : T(0);
  T primal = T(1) / (T(3) + T(0.15) * (varied ? std::sqrt(number) : std::pow(number, T(1.2))));
  primal = primal > shortest ? primal : shortest;
  return {primal, T(0.999) / (T(4) * T(axes) * primal), tested ? T(1) : T(kRelaxation)};
}

// The number of iterations at which the certificate is looked at next. It takes as long as three to
// ten of them.
JAXTV_HD inline int64_t NextTest(int64_t k) { return k + (k < 64 ? 8 : k < 128 ? 16 : k / 8); }

}  // namespace jaxtv
