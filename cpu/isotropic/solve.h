// SPDX-License-Identifier: MIT
// The primal-dual method for one image, and for the linear problem of its derivative. The method,
// its certificate and the linear problem are derived in jaxtv/_plain/isotropic.py and
// jaxtv/_operators/isotropic.py.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/isotropic.h"
#include "cpu/isotropic/problem.h"

namespace jaxtv {

// What the linear problem adds: the lengths of the groups, and their directions.
template <typename T>
struct Linear {
  std::vector<ImageOperand<T>> lengths, directions;  // of each axis
};

struct Bounds {
  double gap, bound;
};

// The state of the iteration on one image. A Run shares the loops over its rows, as SharedLoop of
// cpu/threads/for_images.h does.
template <typename T>
class Iteration {
 public:
  // `data` is the image, or the right side of the linear problem; contiguous, channel by channel.
  Iteration(const Grid& grid, const DataWeights<T>& data_weights, const GroupWeights<T>& weights,
            bool isotropic, const T* data, const Linear<T>* linear)
      : grid_(grid),
        data_weights_(data_weights),
        weights_(weights),
        isotropic_(isotropic),
        data_(data),
        linear_(linear),
        varied_(data_weights.least() < T(kVaried) * data_weights.largest()),
        members_(grid.axes() * grid.channels),
        y_(grid, grid.channels),
        ahead_(grid, grid.channels),
        source_(grid, grid.channels),
        duals_(grid, members_),
        zeros_(Buffer<T>::Zeros(grid.length() + 2)) {
    for (int c = 0; c < grid.channels; ++c) {
      for (int64_t row = 0; row < grid.rows; ++row) {
        for (int64_t i = 0; i < grid.length(); ++i) {
          const T m = linear ? T(1) : data_weights.At(c, row, i);
          source_.Row(c, row)[i] = m * Data(c, row)[i];
        }
      }
    }
    if (!linear) FindBox();
  }

  Planes<T>& y() { return y_; }
  Planes<T>& duals() { return duals_; }
  const T* Data(int channel, int64_t row) const {
    return data_ + channel * grid_.pixels() + row * grid_.length();
  }

  // Sets the neighbours beyond the ends of duals that were set from outside, and makes them
  // feasible.
  void ProjectDuals() {
    for (int64_t row = 0; row < grid_.rows; ++row) {
      for (int a = 0; a < grid_.axes() && !grid_.periodic; ++a) {
        for (int c = 0; c < grid_.channels; ++c) {
          T* p = duals_.Row(a * grid_.channels + c, row);
          if (grid_.IsLast(row, a)) std::fill(p, p + grid_.length(), T(0));
          if (a + 1 == grid_.axes()) p[grid_.length() - 1] = T(0);
        }
      }
    }
    Scratch scratch(*this);
    for (int64_t row = 0; row < grid_.rows; ++row) StepDuals(row, {T(0), T(0), T(1)}, scratch);
  }

  // The image of which the duals are those; where there are no data the middle of the box.
  void StartFromDuals() {
    Scratch scratch(*this);
    for (int64_t row = 0; row < grid_.rows; ++row) {
      for (int c = 0; c < grid_.channels; ++c) {
        T* y = y_.Row(c, row);
        std::fill(y, y + grid_.length(), T(0));
        // With a step of 1 and no weight y' is source - D^T s p.
        PrimalRow<T> step = Primal(c, row, {T(1), T(0), T(1)}, scratch);
        step.data_weight = {nullptr, T(0)};
        Rows<T>().primal(step);
        for (int64_t i = 0; i < grid_.length(); ++i) {
          const T m = data_weights_.At(c, row, i);
          y[i] = m > T(0) ? y[i] / m : T(0);
        }
      }
    }
    ClipImage();
  }

  void SetConstant() {
    for (int c = 0; c < grid_.channels; ++c) {
      for (int64_t row = 0; row < grid_.rows; ++row) {
        std::fill(y_.Row(c, row), y_.Row(c, row) + grid_.length(), T(0));
      }
    }
    ClipImage();
  }

  // Iteration k = 1, 2, ...
  template <typename Run>
  void Step(const Run& run, int64_t k, bool tested) {
    const StepLengths<T> steps = StepsOf<T>(k, grid_.axes(), varied_, tested);
    if (!run.shared() || grid_.rows * grid_.length() * grid_.channels < kShared) {
      // In one pass: the duals of a row once the image is ready in all rows that they look at.
      Scratch scratch(*this);
      const int64_t reach = grid_.Reach();
      for (int64_t row = 0; row < grid_.rows + reach; ++row) {
        if (row < grid_.rows) StepImage(row, steps, scratch);
        if (row >= reach) StepDuals(row - reach, steps, scratch);
      }
      return;
    }
    ForRows(run, [&](int64_t row, Scratch& scratch) { StepImage(row, steps, scratch); });
    ForRows(run, [&](int64_t row, Scratch& scratch) { StepDuals(row, steps, scratch); });
  }

  // The gap and the error bound at the image, after it is cut to the range of the data.
  template <typename Run>
  Bounds Certificate(const Run& run) {
    ClipImage();
    const TestSums sums = Test(run, Feasible(run), Rows<T>().gap);
    const double square = sums.square.lane[0], rest = sums.rest.lane[0];
    return {square / 2 + rest, (std::sqrt(square) + std::sqrt(square + 4 * rest)) / 2};
  }

  // The norm of the residual of the linear problem.
  template <typename Run>
  double Residual(const Run& run) {
    for (int c = 0; c < grid_.channels; ++c) {
      for (int64_t row = 0; row < grid_.rows; ++row) SetAfter(grid_, y_.Row(c, row));
    }
    return std::sqrt(Test(run, 1, Rows<T>().residual).square.lane[0]);
  }

 private:
  static constexpr int64_t kShared = 1 << 15;  // elements from which threads share an image
  static constexpr int64_t kStripe = 1 << 13;  // elements of a task

  // Work space of a thread.
  struct Scratch {
    explicit Scratch(const Iteration& it)
        : of_duals((it.members_ + 2 * it.grid_.axes()) * it.grid_.length()),
          of_image(it.grid_.length()),
          of_test((it.members_ + 2 * it.grid_.axes() + 3) * it.grid_.length()),
          rows(size_t(it.members_)),
          after(size_t(it.members_)),
          slopes(size_t(it.grid_.axes())),
          radii(size_t(it.grid_.axes())),
          data_weights(size_t(it.grid_.channels)),
          data(size_t(it.grid_.channels)),
          pointers(size_t(it.members_ + 2 * it.grid_.axes())),
          duals(size_t(it.members_)) {}

    Buffer<T> of_duals, of_image;
    Buffer<double> of_test;
    std::vector<AxisRow<T>> rows, after, slopes;
    std::vector<const T*> radii, data_weights, data, pointers;
    std::vector<T*> duals;
  };

  template <typename Run, typename Body>
  void ForRows(const Run& run, const Body& body) const {
    const int64_t in_stripe =
        std::max<int64_t>(1, kStripe / std::max<int64_t>(1, grid_.length() * grid_.channels));
    run((grid_.rows + in_stripe - 1) / in_stripe, [&](int64_t begin, int64_t end) {
      Scratch scratch(*this);
      const int64_t last = std::min(grid_.rows, end * in_stripe);
      for (int64_t row = begin * in_stripe; row < last; ++row) body(row, scratch);
    });
  }

  void FindBox() {
    for (int c = 0; c < grid_.channels; ++c) {
      T low = std::numeric_limits<T>::infinity(), high = -low;
      for (int64_t row = 0; row < grid_.rows; ++row) {
        const T* x = Data(c, row);
        for (int64_t i = 0; i < grid_.length(); ++i) {
          if (data_weights_.At(c, row, i) > T(0)) {
            low = std::min(low, x[i]);
            high = std::max(high, x[i]);
          }
        }
      }
      low_.push_back(low <= high ? low : T(0));
      high_.push_back(low <= high ? high : T(0));
    }
  }

  void ClipImage() {
    for (int c = 0; c < grid_.channels; ++c) {
      for (int64_t row = 0; row < grid_.rows; ++row) {
        T* y = y_.Row(c, row);
        for (int64_t i = 0; i < grid_.length(); ++i) {
          y[i] = std::min(std::max(y[i], low_[size_t(c)]), high_[size_t(c)]);
        }
        SetAfter(grid_, y);
      }
    }
  }

  // Row `row` of a plane and the row before it along an axis.
  AxisRow<T> WithBefore(const Planes<T>& planes, int plane, int axis, int64_t row) const {
    const T* here = planes.Row(plane, row);
    if (axis + 1 == grid_.axes()) return {here, here - 1};
    const int64_t before = grid_.Before(row, axis);
    return {here, before < 0 ? zeros_.data() + 1 : planes.Row(plane, before)};
  }

  AxisRow<T> WithAfter(const Planes<T>& planes, int plane, int axis, int64_t row) const {
    const T* here = planes.Row(plane, row);
    if (axis + 1 == grid_.axes()) return {here, here + 1};
    return {here, planes.Row(plane, grid_.After(row, axis))};
  }

  const AxisRow<T>* SlopesWithBefore(int64_t row, Scratch& scratch) const {
    if (!weights_.has_slopes()) return nullptr;
    for (int a = 0; a < grid_.axes(); ++a) {
      scratch.slopes[size_t(a)] = WithBefore(weights_.slopes(), a, a, row);
    }
    return scratch.slopes.data();
  }

  PrimalRow<T> Primal(int c, int64_t row, const StepLengths<T>& steps, Scratch& scratch) {
    for (int a = 0; a < grid_.axes(); ++a) {
      scratch.rows[size_t(a)] = WithBefore(duals_, a * grid_.channels + c, a, row);
    }
    return {grid_.length(),         grid_.axes(),
            scratch.rows.data(),    SlopesWithBefore(row, scratch),
            source_.Row(c, row),    data_weights_.Row(c, row),
            steps.primal,           steps.relaxation,
            y_.Row(c, row),         ahead_.Row(c, row),
            scratch.of_image.data()};
  }

  void StepImage(int64_t row, const StepLengths<T>& steps, Scratch& scratch) {
    for (int c = 0; c < grid_.channels; ++c) {
      Rows<T>().primal(Primal(c, row, steps, scratch));
      SetAfter(grid_, ahead_.Row(c, row));
    }
  }

  void StepDuals(int64_t row, const StepLengths<T>& steps, Scratch& scratch) {
    for (int a = 0; a < grid_.axes(); ++a) {
      scratch.radii[size_t(a)] = weights_.Radii(a, row);
      for (int c = 0; c < grid_.channels; ++c) {
        const size_t member = size_t(a * grid_.channels + c);
        scratch.rows[member] = WithAfter(ahead_, c, a, row);
        scratch.duals[member] = duals_.Row(int(member), row);
      }
    }
    const auto [slopes, lengths, directions] = Pointers(row, scratch);
    Rows<T>().dual({grid_.length(), grid_.axes(), grid_.channels, isotropic_, scratch.rows.data(),
                    slopes, scratch.radii.data(), lengths, directions, steps.dual, steps.relaxation,
                    scratch.duals.data(), scratch.of_duals.data()});
    const int last = grid_.axes() - 1;
    for (int c = 0; c < grid_.channels; ++c) {
      SetBefore(grid_, duals_.Row(last * grid_.channels + c, row));
    }
  }

  struct RowPointers {
    const T *const *slopes, *const *lengths, *const *directions;
  };

  // Those of slopes and of the linear problem; null where there are none.
  RowPointers Pointers(int64_t row, Scratch& scratch) const {
    const T** next = scratch.pointers.data();
    RowPointers found{nullptr, nullptr, nullptr};
    if (weights_.has_slopes()) {
      found.slopes = next;
      for (int a = 0; a < grid_.axes(); ++a) *next++ = weights_.slopes().Row(a, row);
    }
    if (linear_ == nullptr) return found;
    found.lengths = next;
    for (const auto& lengths : linear_->lengths) *next++ = lengths.Row(grid_, 0, row);
    found.directions = next;
    for (const auto& directions : linear_->directions) {
      for (int c = 0; c < grid_.channels; ++c) *next++ = directions.Row(grid_, c, row);
    }
    return found;
  }

  // A factor of at most 1 that makes the duals feasible: rounding may leave them an ulp or two
  // longer than their radii.
  template <typename Run>
  double Feasible(const Run& run) {
    std::vector<double> of_row(size_t(grid_.rows));
    ForRows(run, [&](int64_t row, Scratch& scratch) {
      of_row[size_t(row)] = Rows<T>().excess(Tested(row, 1, scratch));
    });
    const double most = *std::max_element(of_row.begin(), of_row.end());
    constexpr double kRounded = 1 - 4 * std::numeric_limits<double>::epsilon();
    return most > kRounded ? kRounded / std::sqrt(most) : 1;
  }

  // The sums over all rows, in their order, in lane 0.
  template <typename Run, typename Kernel>
  TestSums Test(const Run& run, double scale, const Kernel& kernel) {
    std::vector<std::pair<double, double>> of_row(size_t(grid_.rows));
    ForRows(run, [&](int64_t row, Scratch& scratch) {
      TestSums sums;
      kernel(Tested(row, scale, scratch), &sums);
      of_row[size_t(row)] = {sums.square.Total(), sums.rest.Total()};
    });
    TestSums total;
    for (const auto& [square, rest] : of_row) {
      total.square.lane[0] += square;
      total.rest.lane[0] += rest;
    }
    return total;
  }

  // A row for a test, of duals times `scale`.
  TestRow<T> Tested(int64_t row, double scale, Scratch& scratch) const {
    const int axes = grid_.axes(), channels = grid_.channels;
    for (int c = 0; c < channels; ++c) {
      scratch.data_weights[size_t(c)] = data_weights_.Each(c, row);
      scratch.data[size_t(c)] = Data(c, row);
    }
    for (int a = 0; a < axes; ++a) {
      scratch.radii[size_t(a)] = weights_.Radii(a, row);
      for (int c = 0; c < channels; ++c) {
        const int member = a * channels + c;
        scratch.rows[size_t(member)] = WithBefore(duals_, member, a, row);
        scratch.after[size_t(member)] = WithAfter(y_, c, a, row);
      }
    }
    const auto [_, lengths, directions] = Pointers(row, scratch);
    return {grid_.length(),
            axes,
            channels,
            isotropic_,
            scratch.rows.data(),
            SlopesWithBefore(row, scratch),
            scratch.after.data(),
            scratch.radii.data(),
            scratch.data.data(),
            scratch.data_weights.data(),
            low_.data(),
            high_.data(),
            lengths,
            directions,
            scale,
            scratch.of_test.data()};
  }

  const Grid& grid_;
  const DataWeights<T>& data_weights_;
  const GroupWeights<T>& weights_;
  bool isotropic_;
  const T* data_;
  const Linear<T>* linear_;
  bool varied_;
  int members_;
  std::vector<T> low_, high_;  // of the data of each channel
  Planes<T> y_, ahead_, source_, duals_;
  Buffer<T> zeros_;
};

// Iterates until `test(k)`, which is asked at the times of NextTest, or the limit; the number of
// iterations.
template <typename Run, typename T, typename Test>
int64_t Iterate(const Run& run, Iteration<T>& iteration, int64_t limit, const Test& test) {
  int64_t k = 0;
  while (k < limit) {
    const int64_t due = std::min(NextTest(k), limit);
    while (++k < due) iteration.Step(run, k, false);
    iteration.Step(run, k, true);
    if (test()) break;
  }
  return k;
}

}  // namespace jaxtv
