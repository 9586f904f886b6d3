// SPDX-License-Identifier: MIT
// An interior-point method for one image of two axes and one channel, with isotropic groups. Its
// steps are few and dear: some ten for any tolerance, weight and data.
//
// With h = s D y and a bound t_i of each |h_i| the prox is the least
//
//     1/2 sum m (y - x)^2 + sum r t,      S_i = (t_i, h_i) in the cone of |h_i| <= t_i,
//
// and (y, t), p solve it where m (y - x) + D^T s p = 0, Z_i = (r_i, -p_i) is in the cone, and the
// products S_i o Z_i = (<S_i, Z_i>, t_i Z' + r_i S') are 0, with S', Z' the last two elements. The
// points at which they are (mu, 0) lead there as mu falls. With J = diag(1, -1, -1) the scaling of
// Nesterov and Todd,
//
//     H = eta (2 v v^T - J),  H S = Z,    eta^2 = <Z, J Z> / <S, J S>,    v = (Z" + J S") / |...|,
//
// where S", Z" have <S", J S"> = 1, and v has <v, J v> = 1, makes of products linear equations
// dZ + H dS = R. The first element of dZ is 0, which gives dt, and the others
//
//     dp = c + A dh,   A = eta (I - k v' v'^T),   k = 2 / (2 v_0^2 - 1),
//     c = k v_0 R_0 v' - R',
//     (M + D^T s A s D) dy = -m (y - x) - D^T s (p + c).
//
// R = -Z leads to mu = 0. How far that direction stays in the cones tells to which mu to go, and
// its products dS o dZ what R has to make up for: S. Mehrotra, "On the implementation of a
// primal-dual interior point method", SIAM J. Optim. 1992; for these cones L. Vandenberghe, "The
// CVXOPT linear and quadratic cone program solvers", 2010.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cpu/isotropic/pixel_planes.h"

namespace jaxtv {

class InteriorPoint {
 public:
  static constexpr int kTime = 14;  // that of so many factors: of the usual steps, and the start

  // Starts at the data.
  template <typename T>
  InteriorPoint(const State<T>& problem, const DiagonalOrder& order)
      : planes_(problem, order, kPlanes) {
    for (int64_t row = 0; row < planes_.rows(); ++row) {
      for (int64_t i = 0; i < planes_.length(); ++i) {
        const int64_t k = row * planes_.length() + i;
        planes_[kData][k] = planes_[kWeight][k] > 0 ? double(problem.Data(0, row)[i]) : 0;
        planes_[kImage][k] = planes_[kData][k];
      }
    }
    double total = 0;
    const int64_t n = planes_.pixels();
    for (int64_t k = 0; k < n; ++k) total += planes_[kRadius][k] * Difference(k);
    const double mu = std::max(total / double(n), std::numeric_limits<double>::min());
    for (int64_t k = 0; k < n; ++k) {
      const double r = planes_[kRadius][k];
      const double cost = r * Difference(k);
      planes_[kBound][k] = (mu + std::sqrt(mu * mu + cost * cost)) / r;
    }
    centrality_ = Kernels().scale(View());
  }

  // The duality gap, but for rounding.
  double Gap() const { return centrality_.gap; }

  // False where rounding ends it.
  bool Step() {
    const InteriorKernels& kernels = Kernels();
    const Interior view = View();
    if (!planes_.matrix().Factor(planes_[kWeight], planes_[kA], planes_[kB], planes_[kC]))
      return false;
    const double product = centrality_.product;
    kernels.predict(view);
    const StepSums ahead = Direction();
    const double reach = std::min(1.0, 1 / ahead.shortest);
    const double left = (product + reach * (ahead.linear + reach * ahead.square)) / product;
    kernels.correct(view, left * left * left * product / double(planes_.pixels()));
    const double length = std::min(1.0, kInside / Direction().shortest);
    kernels.move(view, length);
    centrality_ = kernels.scale(view);
    return ++steps_ < kMost && centrality_.product < product;
  }

  template <typename T>
  void Write(State<T>& problem, int64_t row) const {
    WriteRow(planes_, kImage, kP, kQ, row, problem);
  }

 private:
  enum {
    kData = PixelPlanes::kOwn,
    kImage,
    kBound,
    kP,
    kQ,
    kV0,
    kV1,
    kV2,
    kEta,
    kA,
    kB,
    kC,
    kE,
    kF,
    kToImage,
    kToBound,
    kToP,
    kToQ,
    kPlanes
  };
  static constexpr int kWeight = PixelPlanes::kWeight, kRadius = PixelPlanes::kRadius,
                       kDown = PixelPlanes::kDown, kRight = PixelPlanes::kRight;
  static constexpr double kInside = 0.99;  // of the length at which a pixel meets its cone
  static constexpr int kMost = 60;         // steps: rounding ends it before

  // |h| of a pixel.
  double Difference(int64_t k) const {
    const double* y = planes_[kImage] + k;
    const double g = planes_[kDown][k] * (y[planes_.length()] - y[0]),
                 h = planes_[kRight][k] * (y[1] - y[0]);
    return std::sqrt(g * g + h * h);
  }

  StepSums Direction() {
    const Interior view = View();
    Kernels().right_side(view);
    planes_.matrix().Solve(view.to_image);
    return Kernels().finish(view);
  }

  Interior View() {
    return {planes_.pixels(),  planes_.length(),  planes_[kData],  planes_[kWeight],
            planes_[kRadius],  planes_[kDown],    planes_[kRight], planes_[kImage],
            planes_[kBound],   planes_[kP],       planes_[kQ],     planes_[kV0],
            planes_[kV1],      planes_[kV2],      planes_[kEta],   planes_[kA],
            planes_[kB],       planes_[kC],       planes_[kE],     planes_[kF],
            planes_[kToImage], planes_[kToBound], planes_[kToP],   planes_[kToQ]};
  }

  static const InteriorKernels& Kernels() { return KernelsOfThisProcessor().interior; }

  PixelPlanes planes_;
  Centrality centrality_;
  int steps_ = 0;
};

}  // namespace jaxtv
