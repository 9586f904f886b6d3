// SPDX-License-Identifier: MIT
// The primal-dual method for one image, and for the linear problem of its derivative. The method,
// its certificate and the linear problem are derived in jaxtv/_plain/isotropic.py and
// jaxtv/_operators/isotropic.py. A Run shares loops over rows, as SharedLoop of
// cpu/threads/for_images.h does.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/isotropic.h"
#include "cpu/isotropic/fused.h"
#include "cpu/isotropic/state.h"

namespace jaxtv {

template <typename T>
class Iteration {
  using Scratch = typename State<T>::Scratch;

 public:
  explicit Iteration(State<T>& state)
      : state_(state),
        grid_(state.grid),
        varied_(state.data_weights.least() < T(kVaried) * state.data_weights.largest()) {}

  // Starts from feasible duals next to those given for each axis.
  template <typename Run>
  void SetDuals(const Run& run, const std::vector<ImageOperand<T>>& duals) {
    state_.ForRows(run, [&](int64_t row, Scratch&) {
      for (int a = 0; a < grid_.axes(); ++a) {
        for (int c = 0; c < grid_.channels; ++c) {
          T* p = state_.Dual(a * grid_.channels + c, row);
          SetDual(duals[size_t(a)].Row(grid_, c, row), duals[size_t(a)].stride.back(), a, row, p);
        }
      }
      for (int c = 0; c < grid_.channels; ++c) ClearRow(state_.Ahead(c, row));
    });
    state_.ForRows(
        run, [&](int64_t row, Scratch& scratch) { StepDuals(row, {T(0), T(0), T(1)}, scratch); });
  }

  template <typename Run>
  void SetDualsToZero(const Run& run) {
    state_.ForRows(run, [&](int64_t row, Scratch&) {
      for (int k = 0; k < state_.members; ++k) ClearRow(state_.Dual(k, row));
    });
  }

  template <typename Run>
  void SetImageToZero(const Run& run) {
    state_.ForRows(run, [&](int64_t row, Scratch&) {
      for (int c = 0; c < grid_.channels; ++c) ClearRow(state_.Y(c, row));
    });
  }

  // The image of which the duals are those; 0 where there are no data.
  template <typename Run>
  void SetImageFromDuals(const Run& run) {
    state_.ForRows(run, [&](int64_t row, Scratch& scratch) {
      for (int c = 0; c < grid_.channels; ++c) {
        T* y = state_.Y(c, row);
        std::fill(y, y + grid_.length(), T(0));
        // With a step of 1 and no weight y' is source - D^T s p.
        PrimalRow<T> step = Primal(c, row, {T(1), T(0), T(1)}, scratch);
        step.data_weight = {nullptr, T(0)};
        Rows<T>().primal(step);
        const T* m = state_.data_weights.Each(c, row);
        for (int64_t i = 0; i < grid_.length(); ++i) y[i] = m[i] > T(0) ? y[i] / m[i] : T(0);
      }
    });
  }

  // Iteration k = 1, 2, ...
  template <typename Run>
  void Step(const Run& run, int64_t k, bool tested) {
    const StepLengths<T> steps = StepsOf<T>(k, grid_.axes(), varied_, tested);
    if (IsFused(state_)) return StepFused(run, state_, steps);
    if (!state_.IsShared(run)) {
      // In one pass: the duals of a row once the image is ready in all rows that they look at.
      Scratch& scratch = state_.scratch();
      const int64_t reach = grid_.Reach();
      for (int64_t row = 0; row < grid_.rows + reach; ++row) {
        if (row < grid_.rows) StepImage(row, steps, scratch);
        if (row >= reach) StepDuals(row - reach, steps, scratch);
      }
      return;
    }
    state_.ForRows(run, [&](int64_t row, Scratch& s) { StepImage(row, steps, s); });
    state_.ForRows(run, [&](int64_t row, Scratch& s) { StepDuals(row, steps, s); });
  }

 private:
  void ClearRow(T* row) const { std::fill(row - 1, row + grid_.length() + 1, T(0)); }

  // A row of duals from elsewhere, of stride 0 or 1; those of an open end are 0.
  void SetDual(const T* from, int64_t stride, int axis, int64_t row, T* p) const {
    const bool along_row = axis + 1 == grid_.axes();
    if (!grid_.periodic && grid_.IsLast(row, axis)) {
      std::fill_n(p, grid_.length(), T(0));
    } else if (stride == 1) {
      std::copy_n(from, grid_.length(), p);
    } else {
      std::fill_n(p, grid_.length(), *from);
    }
    if (!grid_.periodic && along_row) p[grid_.length() - 1] = T(0);
  }

  PrimalRow<T> Primal(int c, int64_t row, const StepLengths<T>& steps, Scratch& scratch) {
    for (int a = 0; a < grid_.axes(); ++a) {
      scratch.rows[size_t(a)] = state_.DualWithBefore(a, c, row);
    }
    return {grid_.length(),         grid_.axes(),
            scratch.rows.data(),    state_.SlopesWithBefore(row, scratch),
            state_.Source(c, row),  state_.data_weights.Row(c, row),
            steps.primal,           steps.relaxation,
            state_.Y(c, row),       state_.Ahead(c, row),
            scratch.of_image.data()};
  }

  void StepImage(int64_t row, const StepLengths<T>& steps, Scratch& scratch) {
    for (int c = 0; c < grid_.channels; ++c) {
      Rows<T>().primal(Primal(c, row, steps, scratch));
      SetAfter(grid_, state_.Ahead(c, row));
    }
  }

  void StepDuals(int64_t row, const StepLengths<T>& steps, Scratch& scratch) {
    for (int a = 0; a < grid_.axes(); ++a) {
      scratch.radii[size_t(a)] = state_.weights.Radii(a, row);
      for (int c = 0; c < grid_.channels; ++c) {
        const int member = a * grid_.channels + c;
        scratch.rows[size_t(member)] = state_.AheadWithAfter(a, c, row);
        scratch.duals[size_t(member)] = state_.Dual(member, row);
      }
    }
    const auto [slopes, lengths, directions] = state_.Pointers(row, scratch);
    Rows<T>().dual({grid_.length(), grid_.axes(), grid_.channels, state_.isotropic,
                    scratch.rows.data(), slopes, scratch.radii.data(), lengths, directions,
                    steps.dual, steps.relaxation, scratch.duals.data(), scratch.of_duals.data()});
    const int last = grid_.axes() - 1;
    for (int c = 0; c < grid_.channels; ++c) {
      SetBefore(grid_, state_.Dual(last * grid_.channels + c, row));
    }
  }

  State<T>& state_;
  const Grid& grid_;
  const bool varied_;
};

// Goes on from iteration `made` to the last one, or until `passed(k)`, which is asked at the times
// of NextTest and at the last; the number of iterations.
template <typename Run, typename T, typename Test>
int64_t Iterate(const Run& run, Iteration<T>& iteration, int64_t made, int64_t last,
                const Test& passed) {
  int64_t k = made;
  while (k < last) {
    const int64_t due = std::min(NextTest(k), last);
    while (++k < due) iteration.Step(run, k, false);
    iteration.Step(run, k, true);
    if (passed(k)) break;
  }
  return k;
}

}  // namespace jaxtv
