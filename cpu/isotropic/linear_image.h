// SPDX-License-Identifier: MIT
// The linear problem of one image from start to end: jaxtv/_plain/isotropic.py, `solve_linear`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cpu/isotropic/certificate.h"
#include "cpu/isotropic/direct_linear.h"
#include "cpu/isotropic/solve.h"

namespace jaxtv {

// One image of a call of the linear problem.
template <typename T>
struct LinearImage {
  const Grid& grid;
  const SharedOrder& order;
  bool isotropic;
  const T* source;
  ImageOperand<T> data_weight;
  std::vector<ImageOperand<T>> lams;
  Linear<T> linear;
  T tol;
  int64_t limit;
  T* z;

  struct Outcome {
    double residual;  // its norm, or about that where it is above the goal
    int64_t sweeps;
  };

  template <typename Run>
  Outcome Solve(const Run& run) const {
    const DataWeights<T> m(grid, data_weight);
    const GroupWeights<T> weights(grid, lams, isotropic);
    State<T> state(grid, m, weights, isotropic, source, &linear);
    Iteration<T> iteration(state);
    iteration.SetImageToZero(run);
    iteration.SetDualsToZero(run);
    const int64_t size = grid.pixels() * grid.channels;
    double square = 0;
    for (int64_t k = 0; k < size; ++k) square += double(source[k]) * double(source[k]);
    double residual = std::sqrt(square);
    const double goal = double(tol) * residual;
    const auto look = [&] {
      residual = AboutResidual(run, state, goal);
      return !(residual > goal);
    };
    int64_t sweeps = 0;
    bool direct = HasMatrix(state);  // and not tried yet
    while (residual > goal && sweeps < limit) {
      sweeps = Iterate(run, iteration, sweeps, limit, [&](int64_t k) {
        return look() ||
               (direct && IsFasterByMatrix<T>(grid, DirectLinear::kTime, k, residual / goal));
      });
      if (direct && residual > goal) sweeps = StepDirectly(state, sweeps, look);
      direct = false;
    }
    state.ForRows(run, [&](int64_t row, auto&) {
      state.CopyRow(row, [&](int c) { return state.Y(c, row); }, z);
    });
    if (!std::isfinite(square)) std::fill_n(z, size, std::numeric_limits<T>::quiet_NaN());
    return {residual, sweeps};
  }

 private:
  // Steps with the factors of the matrix, counted on from `sweeps`, until `look()` or as long as
  // they are of use.
  template <typename Look>
  int64_t StepDirectly(State<T>& state, int64_t sweeps, const Look& look) const {
    DirectLinear method(state, order.Get());
    const int64_t last = std::min(limit, sweeps + DirectLinear::kMost);
    while (sweeps < last && method.Step()) {
      ++sweeps;
      for (int64_t row = 0; row < grid.rows; ++row) method.Write(state, row);
      if (look()) break;
    }
    return sweeps;
  }
};

}  // namespace jaxtv
