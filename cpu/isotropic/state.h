// SPDX-License-Identifier: MIT
// The arrays of the iteration on one image, and the rows of them that the kernels look at.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/isotropic/problem.h"

namespace jaxtv {

// What the linear problem adds: the lengths of the groups, and their directions.
template <typename T>
struct Linear {
  std::vector<ImageOperand<T>> lengths, directions;  // of each axis
};

template <typename T>
class State {
 public:
  // `data` is the image, or the right side of the linear problem; contiguous, channel by channel.
  State(const Grid& grid, const DataWeights<T>& data_weights, const GroupWeights<T>& weights,
        bool isotropic, const T* data, const Linear<T>* linear)
      : grid(grid),
        data_weights(data_weights),
        weights(weights),
        isotropic(isotropic),
        linear(linear),
        members(grid.axes() * grid.channels),
        data_(data),
        planes_(grid, 2 * grid.channels + members),
        zeros_(Buffer<T>::Zeros(grid.length() + 2)),
        scratch_(*this) {
    if (linear || data_weights.AreOne()) return;
    weighted_ = Planes<T>(grid, grid.channels);
    for (int c = 0; c < grid.channels; ++c) {
      for (int64_t row = 0; row < grid.rows; ++row) {
        const T* m = data_weights.Each(c, row);
        for (int64_t i = 0; i < grid.length(); ++i)
          weighted_.Row(c, row)[i] = m[i] * Data(c, row)[i];
      }
    }
  }

  const Grid& grid;
  const DataWeights<T>& data_weights;
  const GroupWeights<T>& weights;
  const bool isotropic;
  const Linear<T>* const linear;
  const int members;  // duals of a pixel: one for each axis and channel

  T* Y(int channel, int64_t row) { return planes_.Row(channel, row); }
  T* Ahead(int channel, int64_t row) { return planes_.Row(grid.channels + channel, row); }
  T* Dual(int member, int64_t row) { return planes_.Row(2 * grid.channels + member, row); }
  const T* Data(int channel, int64_t row) const {
    return data_ + channel * grid.pixels() + row * grid.length();
  }
  // m x, or the right side of the linear problem.
  const T* Source(int channel, int64_t row) const {
    return weighted_.count() > 0 ? weighted_.Row(channel, row) : Data(channel, row);
  }

  // From a row of a plane, or of the source, to the next.
  int64_t stride() const { return planes_.stride(); }
  int64_t source_stride() const { return weighted_.count() > 0 ? stride() : grid.length(); }

  // Copies row `row` of an image, `from(channel)`, to an array like the data.
  template <typename From>
  void CopyRow(int64_t row, const From& from, T* to) const {
    for (int c = 0; c < grid.channels; ++c) {
      std::copy_n(from(c), grid.length(), to + c * grid.pixels() + row * grid.length());
    }
  }

  // Work space of a thread.
  struct Scratch {
    explicit Scratch(const State& state)
        : of_duals((state.members + 2 * state.grid.axes()) * state.grid.length()),
          of_image(state.grid.length()),
          of_test((state.members + 2 * state.grid.axes() + 3) * state.grid.length()),
          rows(size_t(state.members)),
          after(size_t(state.members)),
          slopes(size_t(state.grid.axes())),
          radii(size_t(state.grid.axes())),
          data_weights(size_t(state.grid.channels)),
          data(size_t(state.grid.channels)),
          pointers(size_t(state.members + 2 * state.grid.axes())),
          duals(size_t(state.members)) {}

    Buffer<T> of_duals, of_image;
    Buffer<double> of_test;
    std::vector<AxisRow<T>> rows, after, slopes;
    std::vector<const T*> radii, data_weights, data, pointers;
    std::vector<T*> duals;
  };

  // That of the only thread of an image that is not shared.
  Scratch& scratch() const { return scratch_; }

  // Whether threads share the loops over the rows of an image of this size.
  template <typename Run>
  bool IsShared(const Run& run) const {
    return run.shared() && grid.pixels() * grid.channels >= kShared;
  }

  // The rows of a stripe, which one thread works on.
  int64_t RowsOfStripe() const {
    return std::max<int64_t>(1, kStripe / (grid.length() * grid.channels));
  }

  // Calls body(first, last, scratch) for the stripes of rows from `begin` to `end`. Threads may
  // share them.
  template <typename Run, typename Body>
  void ForStripes(const Run& run, int64_t begin, int64_t end, const Body& body) const {
    const int64_t in_stripe = RowsOfStripe();
    const auto stripes = [&](int64_t first, int64_t last, Scratch& scratch) {
      for (int64_t k = first; k < last; ++k) {
        const int64_t from = begin + k * in_stripe;
        body(from, std::min(end, from + in_stripe), scratch);
      }
    };
    const int64_t count = (end - begin + in_stripe - 1) / in_stripe;
    if (!IsShared(run)) return stripes(0, count, scratch_);
    run(count, [&](int64_t first, int64_t last) {
      Scratch scratch(*this);
      stripes(first, last, scratch);
    });
  }

  // Calls body(row, scratch) for all rows, stripe by stripe.
  template <typename Run, typename Body>
  void ForRows(const Run& run, const Body& body) const {
    ForStripes(run, 0, grid.rows, [&](int64_t first, int64_t last, Scratch& scratch) {
      for (int64_t row = first; row < last; ++row) body(row, scratch);
    });
  }

  AxisRow<T> DualWithBefore(int axis, int channel, int64_t row) const {
    return WithBefore(planes_, 2 * grid.channels + axis * grid.channels + channel, axis, row);
  }
  AxisRow<T> YWithAfter(int axis, int channel, int64_t row) const {
    return WithAfter(channel, axis, row);
  }
  AxisRow<T> AheadWithAfter(int axis, int channel, int64_t row) const {
    return WithAfter(grid.channels + channel, axis, row);
  }

  // Of each axis, or null where there are none.
  const AxisRow<T>* SlopesWithBefore(int64_t row, Scratch& scratch) const {
    if (!weights.has_slopes()) return nullptr;
    for (int a = 0; a < grid.axes(); ++a) {
      scratch.slopes[size_t(a)] = WithBefore(weights.slopes(), a, a, row);
    }
    return scratch.slopes.data();
  }

  struct RowPointers {
    const T *const *slopes, *const *lengths, *const *directions;
  };

  // Those of slopes and of the linear problem; null where there are none.
  RowPointers Pointers(int64_t row, Scratch& scratch) const {
    const T** next = scratch.pointers.data();
    RowPointers found{nullptr, nullptr, nullptr};
    if (weights.has_slopes()) {
      found.slopes = next;
      for (int a = 0; a < grid.axes(); ++a) *next++ = weights.slopes().Row(a, row);
    }
    if (linear == nullptr) return found;
    found.lengths = next;
    for (const auto& lengths : linear->lengths) *next++ = lengths.Row(grid, 0, row);
    found.directions = next;
    for (const auto& directions : linear->directions) {
      for (int c = 0; c < grid.channels; ++c) *next++ = directions.Row(grid, c, row);
    }
    return found;
  }

 private:
  static constexpr int64_t kShared = 1 << 15;  // elements from which threads share an image
  static constexpr int64_t kStripe = 1 << 13;  // elements of a task

  // Row `row` of a plane and the row before it along an axis.
  AxisRow<T> WithBefore(const Planes<T>& planes, int plane, int axis, int64_t row) const {
    const T* here = planes.Row(plane, row);
    if (axis + 1 == grid.axes()) return {here, here - 1};
    const int64_t before = grid.Before(row, axis);
    return {here, before < 0 ? zeros_.data() + 1 : planes.Row(plane, before)};
  }

  AxisRow<T> WithAfter(int plane, int axis, int64_t row) const {
    const T* here = planes_.Row(plane, row);
    if (axis + 1 == grid.axes()) return {here, here + 1};
    return {here, planes_.Row(plane, grid.After(row, axis))};
  }

  const T* data_;
  Planes<T> planes_;    // y, 2 y' - y, and the duals of each axis
  Planes<T> weighted_;  // m x where m is not 1
  Buffer<T> zeros_;
  mutable Scratch scratch_;  // of the only thread, where an image is not shared
};

}  // namespace jaxtv
