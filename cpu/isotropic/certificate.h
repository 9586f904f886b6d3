// SPDX-License-Identifier: MIT
// How far an image is from the prox, or from the solution of the linear problem of its derivative:
// jaxtv/_plain/isotropic.py, `_gap` and `solve_linear`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "cpu/isotropic/state.h"

namespace jaxtv {

// The range of the data of each channel.
template <typename T>
struct Box {
  std::vector<T> low, high;

  explicit Box(const State<T>& state) {
    for (int c = 0; c < state.grid.channels; ++c) Add(state, c);
  }

 private:
  // Several bounds at a time, since each comparison waits for the one before.
  void Add(const State<T>& state, int channel) {
    constexpr int kAtOnce = 16;
    constexpr T kInfinity = std::numeric_limits<T>::infinity();
    T least[kAtOnce], most[kAtOnce];
    std::fill_n(least, kAtOnce, kInfinity);
    std::fill_n(most, kAtOnce, -kInfinity);
    const auto look = [&](const T* x, const T* m, int count) {
      for (int k = 0; k < count; ++k) {
        const T value = x[k], low = m[k] > T(0) ? value : kInfinity;
        const T high = m[k] > T(0) ? value : -kInfinity;
        least[k] = low < least[k] ? low : least[k];
        most[k] = high > most[k] ? high : most[k];
      }
    };
    const int64_t n = state.grid.length();
    for (int64_t row = 0; row < state.grid.rows; ++row) {
      const T* x = state.Data(channel, row);
      const T* m = state.data_weights.Each(channel, row);
      int64_t i = 0;
      for (; i + kAtOnce <= n; i += kAtOnce) look(x + i, m + i, kAtOnce);
      look(x + i, m + i, int(n - i));
    }
    const T lowest = *std::min_element(least, least + kAtOnce);
    const T highest = *std::max_element(most, most + kAtOnce);
    low.push_back(lowest <= highest ? lowest : T(0));
    high.push_back(lowest <= highest ? highest : T(0));
  }
};

// A row for a test, of duals times `scale`. Only the certificate looks at a box.
template <typename T>
TestRow<T> Tested(const State<T>& state, const Box<T>* box, int64_t row, double scale,
                  typename State<T>::Scratch& scratch) {
  const int axes = state.grid.axes(), channels = state.grid.channels;
  for (int c = 0; c < channels; ++c) {
    scratch.data_weights[size_t(c)] = state.data_weights.Each(c, row);
    scratch.data[size_t(c)] = state.Data(c, row);
  }
  for (int a = 0; a < axes; ++a) {
    scratch.radii[size_t(a)] = state.weights.Radii(a, row);
    for (int c = 0; c < channels; ++c) {
      const size_t member = size_t(a * channels + c);
      scratch.rows[member] = state.DualWithBefore(a, c, row);
      scratch.after[member] = state.YWithAfter(a, c, row);
    }
  }
  const auto [_, lengths, directions] = state.Pointers(row, scratch);
  return {state.grid.length(),
          axes,
          channels,
          state.isotropic,
          scratch.rows.data(),
          state.SlopesWithBefore(row, scratch),
          scratch.after.data(),
          scratch.radii.data(),
          scratch.data.data(),
          scratch.data_weights.data(),
          box ? box->low.data() : nullptr,
          box ? box->high.data() : nullptr,
          lengths,
          directions,
          scale,
          scratch.of_test.data()};
}

struct Totals {
  double square = 0, rest = 0;
};

// Adds the sums over rows from `begin` to `end`, stripe by stripe.
template <typename T, typename Run, typename Kernel>
void AddRows(const Run& run, const State<T>& state, const Box<T>* box, int64_t begin, int64_t end,
             double scale, const Kernel& kernel, Totals* totals) {
  const int64_t in_stripe = state.RowsOfStripe();
  std::vector<Totals> of_stripe(size_t((end - begin + in_stripe - 1) / in_stripe));
  state.ForStripes(run, begin, end, [&](int64_t first, int64_t last, auto& scratch) {
    TestSums sums;
    for (int64_t row = first; row < last; ++row) {
      kernel(Tested(state, box, row, scale, scratch), &sums);
    }
    of_stripe[size_t((first - begin) / in_stripe)] = {sums.square.Total(), sums.rest.Total()};
  });
  for (const Totals& stripe : of_stripe) {
    totals->square += stripe.square;
    totals->rest += stripe.rest;
  }
}

// The sums over all rows; or, from some of them that already have sums that are `above`, about
// those of all: no term is below 0.
template <typename T, typename Run, typename Kernel, typename Above>
Totals AboutTotals(const Run& run, const State<T>& state, const Box<T>* box, const Kernel& kernel,
                   const Above& above) {
  constexpr int64_t kParts = 16;
  const int64_t rows = state.grid.rows, part = (rows + kParts - 1) / kParts;
  Totals totals;
  for (int64_t row = 0; row < rows; row += part) {
    const int64_t end = std::min(rows, row + part);
    AddRows(run, state, box, row, end, 1, kernel, &totals);
    const double share = double(rows) / double(end);
    if (above(totals)) return {share * totals.square, share * totals.rest};
  }
  return totals;
}

struct Bounds {
  double gap, bound;
};

inline Bounds BoundsOf(const Totals& totals) {
  const auto [square, rest] = totals;
  return {square / 2 + rest, (std::sqrt(square) + std::sqrt(square + 4 * rest)) / 2};
}

// The certificate at an image that lies in the box of its data.
template <typename T>
class Certificate {
 public:
  explicit Certificate(State<T>& state) : state_(state), box_(state) {}

  // Cuts the image to its box.
  template <typename Run>
  void Clip(const Run& run) {
    state_.ForRows(run, [&](int64_t row, auto&) {
      for (int c = 0; c < state_.grid.channels; ++c) {
        const T low = box_.low[size_t(c)], high = box_.high[size_t(c)];
        T* y = state_.Y(c, row);
        for (int64_t i = 0; i < state_.grid.length(); ++i) {
          y[i] = std::min(std::max(y[i], low), high);
        }
        SetAfter(state_.grid, y);
      }
    });
  }

  // The bound, but for the rounding of the duals, if that is not above a target; else about the
  // bound.
  template <typename Run>
  double About(const Run& run, double target) const {
    const auto above = [&](const Totals& totals) { return BoundsOf(totals).bound > target; };
    return BoundsOf(AboutTotals(run, state_, &box_, Tests<T>().gap, above)).bound;
  }

  template <typename Run>
  Bounds Find(const Run& run) const {
    Totals totals;
    AddRows(run, state_, &box_, 0, state_.grid.rows, Feasible(run), Tests<T>().gap, &totals);
    return BoundsOf(totals);
  }

 private:
  // A factor of at most 1 that makes the duals feasible: rounding may leave them an ulp or two
  // longer than their radii.
  template <typename Run>
  double Feasible(const Run& run) const {
    std::vector<double> of_row(size_t(state_.grid.rows));
    state_.ForRows(run, [&](int64_t row, auto& scratch) {
      of_row[size_t(row)] = Tests<T>().excess(Tested(state_, &box_, row, 1, scratch));
    });
    const double most = *std::max_element(of_row.begin(), of_row.end());
    constexpr double kRounded = 1 - 4 * std::numeric_limits<double>::epsilon();
    return most > kRounded ? kRounded / std::sqrt(most) : 1;
  }

  State<T>& state_;
  const Box<T> box_;
};

// The norm of the residual of the linear problem, if that is not above a goal; else about the norm.
template <typename T, typename Run>
double AboutResidual(const Run& run, State<T>& state, double goal) {
  for (int64_t row = 0; row < state.grid.rows; ++row) {
    for (int c = 0; c < state.grid.channels; ++c) SetAfter(state.grid, state.Y(c, row));
  }
  const auto above = [&](const Totals& totals) { return std::sqrt(totals.square) > goal; };
  const Box<T>* const none = nullptr;
  return std::sqrt(AboutTotals(run, state, none, Tests<T>().residual, above).square);
}

}  // namespace jaxtv
