// SPDX-License-Identifier: MIT
// The weights of one image whose differences are coupled, as the iteration wants them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "cpu/isotropic/planes.h"
#include "cpu/isotropic/this_processor.h"
#include "cpu/threads/buffer.h"

namespace jaxtv {

// One operand of an image: element (channel, pixel along each axis) lies at data[sum of index times
// stride], with stride 0 where it broadcasts.
template <typename T>
struct ImageOperand {
  const T* data;
  std::vector<int64_t> stride;  // of the channel, then of each axis

  bool IsOneNumber() const {
    return std::all_of(stride.begin(), stride.end(), [](int64_t s) { return s == 0; });
  }

  // The first element of a row of a channel.
  const T* Row(const Grid& grid, int channel, int64_t row) const {
    int64_t offset = channel * stride[0];
    for (int a = 0; a + 1 < grid.axes(); ++a) {
      offset += row / grid.step[a] % grid.size[a] * stride[size_t(a) + 1];
    }
    return data + offset;
  }
};

// The radius r of each group and the slope s of each axis: jaxtv/_plain/isotropic.py, `radii`.
template <typename T>
class GroupWeights {
 public:
  GroupWeights(const Grid& grid, const std::vector<ImageOperand<T>>& lams, bool isotropic)
      : isotropic_(isotropic) {
    bool one = true;
    for (const auto& lam : lams) {
      one = one && lam.IsOneNumber();
      all_.push_back(lam.data[0]);
    }
    const bool equal = std::all_of(all_.begin(), all_.end(), [&](T w) { return w == all_[0]; });
    if (one && (equal || !isotropic)) {
      for (const T w : all_) {
        rows_.push_back(Buffer<T>(grid.length()));
        std::fill_n(rows_.back().data(), grid.length(), w);
      }
      return;
    }
    radii_ = Planes<T>(grid, isotropic ? 1 : grid.axes());
    if (isotropic) slopes_ = Planes<T>(grid, grid.axes());
    for (int64_t row = 0; row < grid.rows; ++row) Fill(grid, lams, row);
  }

  bool has_slopes() const { return slopes_.count() > 0; }
  const Planes<T>& slopes() const { return slopes_; }

  const T* Radii(int axis, int64_t row) const {
    return rows_.empty() ? radii_.Row(isotropic_ ? 0 : axis, row) : rows_[size_t(axis)].data();
  }

 private:
  void Fill(const Grid& grid, const std::vector<ImageOperand<T>>& lams, int64_t row) {
    const int axes = grid.axes();
    for (int64_t i = 0; i < grid.length(); ++i) {
      T largest = T(0);
      for (int a = 0; a < axes; ++a) {
        const bool end = a + 1 < axes ? grid.IsLast(row, a) : i + 1 == grid.length();
        const T* lam = lams[size_t(a)].Row(grid, 0, row);
        const T w = end && !grid.periodic ? T(0) : lam[i * lams[size_t(a)].stride.back()];
        if (isotropic_) {
          slopes_.Row(a, row)[i] = w;
          largest = std::max(largest, w);
        } else {
          radii_.Row(a, row)[i] = w;
        }
      }
      if (!isotropic_) continue;
      radii_.Row(0, row)[i] = largest;
      for (int a = 0; a < axes; ++a) slopes_.Row(a, row)[i] /= largest > T(0) ? largest : T(1);
    }
    if (isotropic_) SetBefore(grid, slopes_.Row(axes - 1, row));
  }

  bool isotropic_;
  std::vector<T> all_;
  std::vector<Buffer<T>> rows_;  // of each axis, where all rows are alike
  Planes<T> radii_, slopes_;
};

// The weights of the data, and the least and the greatest value that has one in each channel.
template <typename T>
class DataWeights {
 public:
  DataWeights(const Grid& grid, const ImageOperand<T>& m)
      : one_(m.IsOneNumber()), all_(m.data[0]), least_(m.data[0]), largest_(m.data[0]) {
    if (one_) {
      row_ = Buffer<T>(grid.length());
      std::fill_n(row_.data(), grid.length(), all_);
      return;
    }
    each_ = Planes<T>(grid, grid.channels);
    for (int c = 0; c < grid.channels; ++c) {
      for (int64_t row = 0; row < grid.rows; ++row) {
        const T* from = m.Row(grid, c, row);
        for (int64_t i = 0; i < grid.length(); ++i) {
          const T value = from[i * m.stride.back()];
          each_.Row(c, row)[i] = value;
          least_ = std::min(least_, value);
          largest_ = std::max(largest_, value);
        }
      }
    }
  }

  RowWeights<T> Row(int channel, int64_t row) const {
    return {one_ ? nullptr : each_.Row(channel, row), all_};
  }
  const T* Each(int channel, int64_t row) const {
    return one_ ? row_.data() : each_.Row(channel, row);
  }
  T At(int channel, int64_t row, int64_t i) const {
    return one_ ? all_ : each_.Row(channel, row)[i];
  }
  bool AreOne() const { return one_ && all_ == T(1); }
  T least() const { return least_; }
  T largest() const { return largest_; }

 private:
  bool one_;
  T all_, least_, largest_;
  Buffer<T> row_;
  Planes<T> each_;
};

}  // namespace jaxtv
