// SPDX-License-Identifier: MIT
// Images as rows with a neighbour on either side, as cpu/isotropic/row_kernels.h wants them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>
#include <vector>

#include "cpu/threads/memory.h"

namespace jaxtv {

// The sizes of an image, and which rows are neighbours.
struct Grid {
  std::vector<int64_t> size;  // along each axis; the last one runs along a row
  int channels;
  bool periodic;
  int64_t rows = 1;
  std::vector<int64_t> step;  // rows from a pixel to the next along each axis but the last

  Grid(std::vector<int64_t> sizes, int channels, bool periodic)
      : size(std::move(sizes)), channels(channels), periodic(periodic), step(size.size() - 1) {
    for (size_t a = step.size(); a-- > 0; rows *= size[a]) step[a] = rows;
  }

  int axes() const { return int(size.size()); }
  int64_t length() const { return size.back(); }
  int64_t pixels() const { return rows * length(); }

  // Whether a row is the last one along an axis.
  bool IsLast(int64_t row, int axis) const {
    return axis + 1 < axes() && row / step[axis] % size[axis] == size[axis] - 1;
  }

  // The next row along an axis; beyond an open end the same one.
  int64_t After(int64_t row, int axis) const {
    if (!IsLast(row, axis)) return row + step[axis];
    return periodic ? row - step[axis] * (size[axis] - 1) : row;
  }

  // The row before along an axis; -1 beyond an open end.
  int64_t Before(int64_t row, int axis) const {
    if (row / step[axis] % size[axis] > 0) return row - step[axis];
    return periodic ? row + step[axis] * (size[axis] - 1) : -1;
  }

  // How many rows ahead the furthest next row lies.
  int64_t Reach() const { return step.empty() ? 0 : step[0]; }
};

// `count` images of one channel each, not initialised. Rows begin where vectors do.
template <typename T>
class Planes {
 public:
  Planes() = default;
  Planes(const Grid& grid, int count)
      : stride_((grid.length() + 2 + kVector - 1) / kVector * kVector),
        plane_(stride_ * grid.rows + Gap(stride_ * grid.rows)),
        count_(count),
        memory_(AllocateVectors(plane_ * count * int64_t(sizeof(T)))) {
    if (!memory_) throw std::bad_alloc();
  }

  int count() const { return count_; }
  int64_t stride() const { return stride_; }  // from a row to the next
  T* Row(int k, int64_t row) { return static_cast<T*>(memory_.get()) + Offset(k, row); }
  const T* Row(int k, int64_t row) const {
    return static_cast<const T*>(memory_.get()) + Offset(k, row);
  }

 private:
  static constexpr int64_t kVector = 64 / int64_t(sizeof(T));

  // What planes are apart. Large ones are, so that the same row of all of them is not in the same
  // few sets of a cache where the size of a plane is about a multiple of its ways.
  static int64_t Gap(int64_t elements) {
    return (elements * int64_t(sizeof(T)) < (1 << 14) ? 1 : 11) * kVector;
  }

  // What lies before the first element of a row is in the vector before it.
  int64_t Offset(int k, int64_t row) const { return k * plane_ + row * stride_ + kVector; }

  int64_t stride_ = 0, plane_ = 0;
  int count_ = 0;
  Memory memory_;
};

// Sets what lies after the end of a row of an image, and before that of duals along the row.
template <typename T>
void SetAfter(const Grid& grid, T* row) {
  row[grid.length()] = grid.periodic ? row[0] : row[grid.length() - 1];
}

template <typename T>
void SetBefore(const Grid& grid, T* row) {
  row[-1] = grid.periodic ? row[grid.length() - 1] : T(0);
}

}  // namespace jaxtv
