// SPDX-License-Identifier: MIT
// The matrix M + D^T A D of an image of two axes, factored, where A couples the two differences at
// a pixel.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/isotropic/diagonal_order.h"

namespace jaxtv {

class NormalMatrix {
 public:
  // How many numbers of memory it takes.
  static int64_t Size(const DiagonalOrder& order) {
    return order.elements + 1 + 2 * order.padded + kAtOnce;
  }

  NormalMatrix(const DiagonalOrder& order, double* memory)
      : order_(order),
        elements_(memory),
        inverse_(elements_ + order.elements + 1),
        work_(inverse_ + order.padded) {}

  // Of matrices (a b; b c) for the differences down and to the right of each pixel, 0 for those
  // beyond an end. False where rounding or the data leave it singular.
  bool Factor(const double* m, const double* a, const double* b, const double* c) {
    std::fill_n(elements_, order_.elements + 1, 0.0);
    for (int64_t k = 0; k < order_.count; ++k) {
      const double above = k >= order_.length ? a[k - order_.length] : 0;
      const double left = k > 0 ? c[k - 1] : 0;
      const DiagonalOrder::Pixel& at = order_.pixels[size_t(k)];
      elements_[at.self] = m[k] + (a[k] + 2 * b[k] + c[k]) + (above + left);
      elements_[at.down] = -(a[k] + b[k]);
      elements_[at.right] = -(b[k] + c[k]);
    }
    for (int64_t k = 0; k < order_.count; ++k) elements_[order_.pixels[size_t(k)].across] += b[k];
    for (int64_t j = order_.count; j < order_.padded; ++j) elements_[order_.start[size_t(j)]] = 1;
    return KernelsOfThisProcessor().profile.factor(View());
  }

  // Replaces a right side by the solution.
  void Solve(double* x) {
    for (int64_t k = 0; k < order_.count; ++k) work_[order_.place[size_t(k)]] = x[k];
    std::fill(work_ + order_.count, work_ + order_.padded + kAtOnce, 0.0);
    KernelsOfThisProcessor().profile.solve(View(), work_);
    for (int64_t k = 0; k < order_.count; ++k) x[k] = work_[order_.place[size_t(k)]];
  }

 private:
  Profile View() const {
    return {order_.padded, order_.start.data(), order_.end.data(), elements_, inverse_};
  }

  const DiagonalOrder& order_;
  double *elements_, *inverse_, *work_;
};

}  // namespace jaxtv
