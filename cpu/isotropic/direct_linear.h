// SPDX-License-Identifier: MIT
// The linear problem of the derivative by the factors of its matrix, for one image of two axes and
// one channel, with isotropic groups.
//
// With duals p the problem is
//
//     M z + D^T s p = source,      (l / r) p = (I - q q^T) s D z  in every group,
//
// where l = 0 and q = 0 in inactive groups: there s D z = 0, and nothing else tells p. The proximal
// point method adds (p' - p) / kPenalty to the second equation, of which the solution is
//
//     p' = A (s D z + p / kPenalty),      A = (I - q q^T) / (l / r + 1 / kPenalty),
//     (M + D^T s A s D) z = source - D^T s A p / kPenalty,
//
// and goes on from p'. Each of its steps takes a solution with the same factors, and some digits
// off what is left.
#pragma once

#include <cstdint>

#include "cpu/isotropic/pixel_planes.h"

namespace jaxtv {

class DirectLinear {
 public:
  static constexpr int kTime = 3;   // that of so many factors
  static constexpr int kMost = 10;  // steps

  template <typename T>
  DirectLinear(const State<T>& problem, const DiagonalOrder& order)
      : planes_(problem, order, kPlanes) {
    for (int64_t row = 0; row < planes_.rows(); ++row) ReadRow(problem, row);
    double *const a = planes_[kA], *const b = planes_[kB], *const c = planes_[kC];
    for (int64_t k = 0; k < planes_.pixels(); ++k) {
      const double down = planes_[kDown][k], right = planes_[kRight][k];
      const double u = planes_[kU][k], v = planes_[kV][k], factor = planes_[kFactor][k];
      a[k] = down * down * factor * (1 - u * u);
      b[k] = -(down * right * factor * u * v);
      c[k] = right * right * factor * (1 - v * v);
    }
    factored_ = planes_.matrix().Factor(planes_[kWeight], a, b, c);
  }

  // A step of the method. False where rounding leaves the matrix singular.
  bool Step() {
    if (!factored_) return false;
    double* const z = planes_[kImage];
    const double *const down = planes_[kDown], *const right = planes_[kRight];
    double *const p = planes_[kP], *const q = planes_[kQ];
    const int64_t n = planes_.pixels(), length = planes_.length();
    for (int64_t k = 0; k < n; ++k) SetDual(k, p[k] / kPenalty, q[k] / kPenalty);
    for (int64_t k = 0; k < n; ++k) {
      const double from = down[k - length] * p[k - length] + right[k - 1] * q[k - 1];
      z[k] = planes_[kSource][k] + (down[k] * p[k] + right[k] * q[k] - from);
    }
    planes_.matrix().Solve(z);
    // To what stands in p, A p / kPenalty, comes A s D z.
    for (int64_t k = 0; k < n; ++k) {
      const double before_p = p[k], before_q = q[k];
      SetDual(k, down[k] * (z[k + length] - z[k]), right[k] * (z[k + 1] - z[k]));
      p[k] += before_p;
      q[k] += before_q;
    }
    return true;
  }

  template <typename T>
  void Write(State<T>& problem, int64_t row) const {
    WriteRow(planes_, kImage, kP, kQ, row, problem);
  }

 private:
  enum { kSource = PixelPlanes::kOwn, kImage, kP, kQ, kU, kV, kFactor, kA, kB, kC, kPlanes };
  static constexpr int kWeight = PixelPlanes::kWeight, kRadius = PixelPlanes::kRadius,
                       kDown = PixelPlanes::kDown, kRight = PixelPlanes::kRight;
  static constexpr double kPenalty = 1e6;  // data weights are about 1

  // Sets the duals of a pixel to A (g, h).
  void SetDual(int64_t k, double g, double h) {
    const double u = planes_[kU][k], v = planes_[kV][k], along = u * g + v * h;
    planes_[kP][k] = planes_[kFactor][k] * (g - u * along);
    planes_[kQ][k] = planes_[kFactor][k] * (h - v * along);
  }

  template <typename T>
  void ReadRow(const State<T>& problem, int64_t row) {
    typename State<T>::Scratch scratch(problem);
    const auto [_, lengths, directions] = problem.Pointers(row, scratch);
    for (int64_t i = 0; i < planes_.length(); ++i) {
      const int64_t k = row * planes_.length() + i;
      planes_[kSource][k] = problem.Source(0, row)[i];
      planes_[kU][k] = directions[0][i];
      planes_[kV][k] = directions[1][i];
      planes_[kFactor][k] = 1 / (lengths[0][i] / planes_[kRadius][k] + 1 / kPenalty);
    }
  }

  PixelPlanes planes_;
  bool factored_;
};

}  // namespace jaxtv
