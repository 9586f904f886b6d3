// SPDX-License-Identifier: MIT
// The prox of one image from start to end: jaxtv/_plain/isotropic.py, `solve`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/round_up.h"
#include "cpu/isotropic/solve.h"

namespace jaxtv {

// Copies an image of all channels, of which `first` is the plane of the first one.
template <typename T>
void CopyRows(const Grid& grid, const Planes<T>& from, int first, T* to) {
  for (int k = first; k < first + grid.channels; ++k) {
    for (int64_t row = 0; row < grid.rows; ++row, to += grid.length()) {
      std::copy_n(from.Row(k, row), grid.length(), to);
    }
  }
}

// One image of a call of the prox.
template <typename T>
struct ProxImage {
  const Grid& grid;
  bool isotropic;
  const T* x;
  ImageOperand<T> data_weight;
  std::vector<ImageOperand<T>> lams, init;
  T target;
  int64_t limit;
  T* y;
  std::vector<T*> duals;

  struct Outcome {
    Bounds bounds;
    int64_t sweeps;
  };

  template <typename Run>
  Outcome Solve(const Run& run) const {
    const DataWeights<T> m(grid, data_weight);
    const GroupWeights<T> weights(grid, lams, isotropic);
    Iteration<T> iteration(grid, m, weights, isotropic, x, static_cast<const Linear<T>*>(nullptr));
    for (int a = 0; a < grid.axes(); ++a) {
      for (int c = 0; c < grid.channels; ++c) {
        for (int64_t row = 0; row < grid.rows; ++row) {
          const auto& from = init[size_t(a)];
          const T* values = from.Row(grid, c, row);
          T* to = iteration.duals().Row(a * grid.channels + c, row);
          for (int64_t i = 0; i < grid.length(); ++i) to[i] = values[i * from.stride.back()];
        }
      }
    }
    iteration.ProjectDuals();
    Bounds found;
    const auto met = [&] {
      found = iteration.Certificate(run);
      return !(RoundUp<T>(found.bound) > target);
    };
    int64_t sweeps = 0;
    // Of a constant result its rounding alone would cost much: weights may be large.
    iteration.SetConstant();
    if (!met()) {
      iteration.StartFromDuals();
      if (!met()) sweeps = Iterate(run, iteration, limit, met);
    }
    CopyRows(grid, iteration.y(), 0, y);
    for (int a = 0; a < grid.axes(); ++a) {
      CopyRows(grid, iteration.duals(), a * grid.channels, duals[size_t(a)]);
    }
    return {found, sweeps};
  }
};

}  // namespace jaxtv
