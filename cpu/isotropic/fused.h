// SPDX-License-Identifier: MIT
// The iteration of cpu/isotropic/solve.h on images of two axes and one channel, with isotropic
// groups of one weight: in one pass over the image.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cpu/isotropic/state.h"

namespace jaxtv {

template <typename T>
bool IsFused(const State<T>& state) {
  return state.grid.axes() == 2 && state.grid.channels == 1 && state.isotropic &&
         !state.weights.has_slopes();
}

// Rows from `begin` to `end`.
template <typename T>
FusedRows<T> RowsToFuse(State<T>& state, const StepLengths<T>& steps, int64_t begin, int64_t end) {
  const Grid& grid = state.grid;
  const int64_t stride = state.stride();
  const RowWeights<T> m = state.data_weights.Row(0, begin);
  const auto linear = [&](const ImageOperand<T>& operand) {
    return Pixels<const T>{operand.Row(grid, 0, begin), operand.stride[1]};
  };
  FusedRows<T> rows{end - begin,
                    grid.length(),
                    grid.periodic,
                    state.weights.Radii(0, begin)[0],
                    steps,
                    state.DualWithBefore(0, 0, begin).other,
                    state.AheadWithAfter(0, 0, end - 1).other,
                    {state.Source(0, begin), state.source_stride()},
                    {m.each, stride},
                    m.all,
                    {state.Y(0, begin), stride},
                    {state.Ahead(0, begin), stride},
                    {state.Dual(0, begin), stride},
                    {state.Dual(1, begin), stride},
                    {nullptr, 0},
                    {nullptr, 0},
                    {nullptr, 0}};
  if (state.linear != nullptr) {
    rows.lengths = linear(state.linear->lengths[0]);
    rows.u = linear(state.linear->directions[0]);
    rows.v = linear(state.linear->directions[1]);
  }
  return rows;
}

// The duals of the last row of a stripe wait for the image of the next one.
template <typename Run, typename T>
void StepFused(const Run& run, State<T>& state, const StepLengths<T>& steps) {
  const int64_t rows = state.grid.rows, in_stripe = state.RowsOfStripe();
  state.ForStripes(run, 0, rows, [&](int64_t first, int64_t last, auto&) {
    Fused<T>().step(RowsToFuse(state, steps, first, last));
  });
  for (int64_t first = 0; first < rows; first += in_stripe) {
    Fused<T>().finish(RowsToFuse(state, steps, first, std::min(rows, first + in_stripe)));
  }
}

}  // namespace jaxtv
