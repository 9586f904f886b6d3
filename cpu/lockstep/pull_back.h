// SPDX-License-Identifier: MIT
// core/pull_back.h in lock step, one line per vector lane: two regular sweeps over a tile, forward
// to the mean at the end of each run, and back to fill it and to take the differences.
#pragma once

#include "cpu/lockstep/kernels.h"
#include "cpu/simd/tile.h"
#include "cpu/simd/wide.h"

namespace jaxtv {
namespace JAXTV_ISA {

// The slopes, -s_e (D P v)_e, are not wanted, or their sum over each line, or each of them.
enum class Slopes { kNone, kSum, kEdges };

// The edges of a row that belong to a run: of equal ends and, with edge weights, of a weight.
template <typename T, Slopes kSlopes>
Mask<T> InsideRun(Vec<T> y, Vec<T> right, const T* lam) {
  const Mask<T> equal = Equal(y, right);
  if constexpr (kSlopes != Slopes::kEdges) return equal;
  return Mask<T>(equal & ~Equal(Load<Vec<T>>(lam), Vec<T>{}));
}

// Turns a tile into its means over the runs of `level`, at the last samples of the runs.
template <typename T, Slopes kSlopes>
void MeansAtEnds(const T* level, const T* lam, int64_t length, T* tile) {
  constexpr int kRow = kLanes<T>;
  using V = Vec<T>;
  V origin{}, count{}, y = Load<V>(level);
  Sum<T> sum;
  auto start = FromBits<T>(kAllLanes<T>);
  for (int64_t k = 0;; ++k) {
    const V v = Load<V>(tile + k * kRow);
    origin = Select(start, v, origin);
    sum.Add(start, v - origin);
    count = Select(start, V{}, count) + T(1);
    const V mean = origin + Narrow(sum.Total()) / count;
    // A sample that is NaN is a run of its own, with mean v: this is NoDerivative(v).
    Store(tile + k * kRow, Select(Or(Equal(y, y), Equal(v, V{})), mean, y));
    if (k == length - 1) return;
    const V right = Load<V>(level + (k + 1) * kRow);
    start = Mask<T>(~InsideRun<T, kSlopes>(y, right, lam + k * kRow));
    y = right;
  }
}

// Fills the runs of a tile. Edge weights are replaced by the slopes; else their sum is returned.
template <typename T, Slopes kSlopes>
Vec<T> FillMeans(const T* level, T* lam, int64_t length, T* tile) {
  constexpr int kRow = kLanes<T>;
  using V = Vec<T>;
  V right = Load<V>(level + (length - 1) * kRow), mean = Load<V>(tile + (length - 1) * kRow);
  Sum<T> sum;
  for (int64_t k = length - 2; k >= 0; --k) {
    const V y = Load<V>(level + k * kRow);
    const auto inside = InsideRun<T, kSlopes>(y, right, lam + k * kRow);
    const V here = Select(inside, mean, Load<V>(tile + k * kRow));
    Store(tile + k * kRow, here);
    if constexpr (kSlopes != Slopes::kNone) {
      const V slope = Select(Less(right, y), mean - here, here - mean);
      const V slope_of_jump = Select(Equal(y, right), V{}, slope);
      if constexpr (kSlopes == Slopes::kEdges) Store(lam + k * kRow, slope_of_jump);
      if constexpr (kSlopes == Slopes::kSum) sum.Add(Mask<T>{}, slope_of_jump);
    }
    mean = here;
    right = y;
  }
  return Narrow(sum.Total());
}

template <typename T, Slopes kSlopes>
void PullBackTile(const PullBackBatch<T>& lines, void* memory) {
  const int64_t n = lines.length, size = n * kLanes<T>;
  T* const level = static_cast<T*>(memory);
  T* const tile = level + size;
  T* const lam = tile + size;
  ReadTile(lines.y, lines.count, lines.stride, n, level);
  ReadTile(lines.v, lines.count, lines.stride, n, tile);
  if (kSlopes == Slopes::kEdges) ReadTile(lines.lam, lines.count, lines.edge_stride, n - 1, lam);
  MeansAtEnds<T, kSlopes>(level, lam, n, tile);
  const Vec<T> sums = FillMeans<T, kSlopes>(level, lam, n, tile);
  WriteTile(tile, lines.count, lines.stride, n, lines.x_bar);
  if (kSlopes == Slopes::kEdges) WriteTile(lam, lines.count, lines.stride, n - 1, lines.lam_bar);
  if (kSlopes != Slopes::kSum) return;
  for (int l = 0; l < lines.count; ++l) *lines.lam_bar[l] = sums[l];
}

template <typename T>
void PullBack(const PullBackBatch<T>& lines, void* scratch) {
  if (lines.lam[0] == nullptr) {
    PullBackTile<T, Slopes::kNone>(lines, scratch);
  } else if (lines.edge_stride == 0) {
    PullBackTile<T, Slopes::kSum>(lines, scratch);
  } else {
    PullBackTile<T, Slopes::kEdges>(lines, scratch);
  }
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
