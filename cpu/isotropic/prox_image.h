// SPDX-License-Identifier: MIT
// The prox of one image from start to end: jaxtv/_plain/isotropic.py, `solve`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/round_up.h"
#include "cpu/isotropic/certificate.h"
#include "cpu/isotropic/interior.h"
#include "cpu/isotropic/solve.h"

namespace jaxtv {

// One image of a call of the prox.
template <typename T>
struct ProxImage {
  const Grid& grid;
  const SharedOrder& order;
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
    double about = 0;  // the bound
    bool done = false;
    const auto met = [&](int64_t sweeps) {
      certificate.Clip(run);
      about = certificate.About(run, target);
      if (sweeps < limit && about > target) return false;
      found = certificate.Find(run);
      return done = !(RoundUp<T>(found.bound) > target);
    };
    iteration.SetDuals(run, init);
    // Of a constant result its rounding alone would cost much: weights may be large.
    iteration.SetImageToZero(run);
    int64_t sweeps = 0;
    if (!met(-1)) {
      iteration.SetImageFromDuals(run);
      met(0);
    }
    bool inside = HasMatrix(state);  // and not tried yet
    while (!done && sweeps < limit) {
      sweeps = Iterate(run, iteration, sweeps, limit, [&](int64_t k) {
        return met(k) ||
               (inside && IsFasterByMatrix<T>(grid, InteriorPoint::kTime, k, about / target));
      });
      if (!done && inside) sweeps = StepInside(state, sweeps, met);
      inside = false;
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

 private:
  // Steps of the interior-point method, counted on from `sweeps`, until `met(sweeps)` or as long as
  // rounding lets it.
  template <typename Test>
  int64_t StepInside(State<T>& state, int64_t sweeps, const Test& met) const {
    if (sweeps == limit) return sweeps;
    InteriorPoint method(state, order.Get());
    while (sweeps < limit && method.Step()) {
      ++sweeps;
      const bool near = method.Gap() <= double(target) * double(target);
      if (!near && sweeps < limit) continue;
      for (int64_t row = 0; row < grid.rows; ++row) method.Write(state, row);
      if (met(sweeps)) break;
    }
    return sweeps;
  }
};

}  // namespace jaxtv
