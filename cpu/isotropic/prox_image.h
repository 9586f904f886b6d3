// SPDX-License-Identifier: MIT
// The prox of one image from start to end: jaxtv/_plain/isotropic.py, `solve`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/round_up.h"
#include "cpu/isotropic/certificate.h"
#include "cpu/isotropic/solve.h"

namespace jaxtv {

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
    State<T> state(grid, m, weights, isotropic, x, nullptr);
    Iteration<T> iteration(state);
    Certificate<T> certificate(state);
    Bounds found;
    const auto met = [&](bool is_last) {
      certificate.Clip(run);
      if (!is_last && certificate.Exceeds(run, target)) return false;
      found = certificate.Find(run);
      return !(RoundUp<T>(found.bound) > target);
    };
    int64_t sweeps = 0;
    iteration.SetDuals(run, init);
    // Of a constant result its rounding alone would cost much: weights may be large.
    iteration.SetImageToZero(run);
    if (!met(false)) {
      iteration.SetImageFromDuals(run);
      if (!met(limit == 0)) sweeps = Iterate(run, iteration, limit, met);
    }
    state.ForRows(run, [&](int64_t row, auto&) {
      state.CopyRow(row, [&](int c) { return state.Y(c, row); }, y);
      for (int a = 0; a < grid.axes(); ++a) {
        const int first = a * grid.channels;
        state.CopyRow(row, [&](int c) { return state.Dual(first + c, row); }, duals[size_t(a)]);
      }
    });
    return {found, sweeps};
  }
};

}  // namespace jaxtv
