// SPDX-License-Identifier: MIT
// The numbers of all pixels of an image of two axes and one channel in double, for the methods that
// factor its matrix, and when those are worth their steps.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cpu/isotropic/normal_matrix.h"
#include "cpu/isotropic/state.h"

namespace jaxtv {

// Whether there is such a matrix for a problem, and it takes no more memory than that of an image
// of 128 x 128.
template <typename T>
bool HasMatrix(const State<T>& problem) {
  constexpr int64_t kElements = 128 * 128 * 128;
  const Grid& grid = problem.grid;
  return grid.axes() == 2 && grid.channels == 1 && !grid.periodic && problem.isotropic &&
         grid.pixels() * std::min(grid.rows, grid.length()) <= kElements;
}

// Whether a method that takes as long as so many factors will be done before the iterations whose
// error is `excess` times the target after k of them. Errors fall about as k^-1.5, and factors take
// as long as iterations in proportion to the elements that each column of the matrix changes.
// Estimates from early iterations are poor; those of so many iterations have been wrong.
template <typename T>
bool IsFasterByMatrix(const Grid& grid, int factors, int64_t k, double excess) {
  constexpr bool kSingle = sizeof(T) == sizeof(float);
  const double width = double(std::min(grid.rows, grid.length()));
  const double all = factors * (kSingle ? 30 + width * width / 15 : 20 + width * width / 36);
  const double left = double(k) * (std::cbrt(excess * excess) - 1);
  return double(k) > all / 8 && std::max(double(k) / 2, left) > all;
}

// `count` numbers for each pixel, with zeros beyond the ends, and the matrix. Numbers 0 to 3 are
// the data weight, the radius of the group, and its slopes down and to the right, 0 at an end.
class PixelPlanes {
 public:
  enum { kWeight, kRadius, kDown, kRight, kOwn };

  template <typename T>
  PixelPlanes(const State<T>& problem, const DiagonalOrder& order, int count)
      : rows_(problem.grid.rows),
        length_(problem.grid.length()),
        stride_(pixels() + 2 * Margin()),
        memory_(stride_ * count + NormalMatrix::Size(order)),
        matrix_(order, memory_.data() + stride_ * count) {
    std::fill_n(memory_.data(), stride_ * count, 0.0);
    for (int64_t row = 0; row < rows_; ++row) ReadRow(problem, row);
  }

  int64_t rows() const { return rows_; }
  int64_t length() const { return length_; }
  int64_t pixels() const { return rows_ * length_; }

  double* operator[](int k) { return memory_.data() + k * stride_ + Margin(); }
  const double* operator[](int k) const { return memory_.data() + k * stride_ + Margin(); }

  NormalMatrix& matrix() { return matrix_; }

 private:
  int64_t Margin() const { return length_ + 1; }

  template <typename T>
  void ReadRow(const State<T>& problem, int64_t row) {
    const T* const r = problem.weights.Radii(0, row);
    const auto slope = [&](int axis, int64_t i) {
      return problem.weights.has_slopes() ? problem.weights.slopes().Row(axis, row)[i] : T(1);
    };
    for (int64_t i = 0; i < length_; ++i) {
      const int64_t k = row * length_ + i;
      (*this)[kWeight][k] = problem.data_weights.At(0, row, i);
      // A group without weight is one of weight 1 that no difference belongs to.
      const bool open = r[i] > T(0);
      (*this)[kRadius][k] = open ? double(r[i]) : 1;
      if (row + 1 < rows_ && open) (*this)[kDown][k] = slope(0, i);
      if (i + 1 < length_ && open) (*this)[kRight][k] = slope(1, i);
    }
  }

  int64_t rows_, length_, stride_;
  Buffer<double> memory_;  // one array, which is cheaper to get again than several
  NormalMatrix matrix_;
};

// Copies a row of three planes to the image of a problem and its duals.
template <typename T>
void WriteRow(const PixelPlanes& planes, int image, int p, int q, int64_t row, State<T>& problem) {
  const int64_t first = row * planes.length();
  T* const to[] = {problem.Y(0, row), problem.Dual(0, row), problem.Dual(1, row)};
  const double* const from[] = {planes[image] + first, planes[p] + first, planes[q] + first};
  for (int k = 0; k < 3; ++k) {
    for (int64_t i = 0; i < planes.length(); ++i) to[k][i] = T(from[k][i]);
  }
  SetBefore(problem.grid, to[2]);
}

}  // namespace jaxtv
