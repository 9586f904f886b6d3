// SPDX-License-Identifier: MIT
// The prox of a line of float with one weight by a warp: divide and conquer in registers
// (warp_divide.h). A line that is not fit for that is solved by core/tv1d.h.
#pragma once

#include <cstdint>

#include "core/tv1d.h"
#include "cuda/common/scan.h"
#include "cuda/lines/walk_in_step.h"
#include "cuda/lines/warp_divide.h"
#include "cuda/lines/warp_lines.h"

namespace jaxtv::cuda {
namespace {

// Steps of the clamped sum relative to its range; sums of smaller ones cannot overflow.
constexpr float kLargestStep = 1.2676506e30f;  // 2^100

// The sums and the levels of the line of a warp. Its samples, and then its prox, take the place of
// the levels.
template <typename Shape>
struct Space {
  float2 sums[Shape::kCells];
  float2 levels[Shape::kCells];
};

template <typename Shape>
__device__ float* Cells(Space<Shape>& space) {
  return reinterpret_cast<float*>(space.levels);
}

// Solves a line in its cells; false, and the cells as they were, if it is not fit. A constant line,
// or one without a weight, stays as it is, signed zeros included.
template <typename Shape>
__device__ bool SolveCells(float weight, int n, Space<Shape>& space) {
  float* const cells = Cells(space);
  const int lane = int(threadIdx.x) % Shape::kLanes, begin = lane * Shape::kSamples;
  float z[Shape::kSamples], low = cells[0], high = low, size = 0.0f;
  bool finite = true;
#pragma unroll
  for (int k = 0; k < Shape::kSamples; ++k) {
    z[k] = begin + k < n ? cells[k * Shape::kPitch + lane] : cells[0];
    low = fminf(low, z[k]);
    high = fmaxf(high, z[k]);
    finite = finite && IsFinite(z[k]);
  }
#pragma unroll
  for (int distance = 1; distance < Shape::kLanes; distance *= 2) {
    low = fminf(low, __shfl_xor_sync(kAllLanes, low, distance));
    high = fmaxf(high, __shfl_xor_sync(kAllLanes, high, distance));
  }
  if (!__all_sync(kAllLanes, finite)) return false;
  if (weight == 0.0f || (low == high && weight > 0.0f)) return true;
  const float range = high - low;
  if (UnitOf(low, high) != 1.0f || !(weight >= kLeastWeight)) return false;
  if (range > kLargestStep * weight) return false;
#pragma unroll
  for (int k = 0; k < Shape::kSamples; ++k) {
    if (begin + k >= n) z[k] = 0.0f;
    size += fabsf(z[k]);
  }
#pragma unroll
  for (int distance = 1; distance < Shape::kLanes; distance *= 2) {
    size += __shfl_xor_sync(kAllLanes, size, distance);
  }
  const float cap = float(n) * range;  // see EdgeWeights
  WarpDivide<Shape>(z, weight < cap ? weight : cap, size, n, space.sums, space.levels).Solve(cells);
  return true;
}

// Solves the line of a warp in its cells, whatever it is.
template <typename Shape>
__device__ void SolveByWarp(const Line<const float>& lam, int n, Space<Shape>& space) {
  if (SolveCells(lam[0], n, space)) return;
  __syncwarp();  // all lanes have read their samples
  if (threadIdx.x % Shape::kLanes != 0) return;
  // The sums are not needed: the samples take the first half of their place, in order, and the prox
  // the second half.
  float* const cells = Cells(space);
  float* const z = reinterpret_cast<float*>(space.sums);
  float* const y = z + Shape::kCells;
  for (int k = 0; k < n; ++k) z[k] = cells[Shape::Cell(k)];
  ProxLine(Line<const float>{z, 1}, lam, n, Line<float>{y, 1});
  for (int k = 0; k < n; ++k) cells[Shape::Cell(k)] = y[k];
}

// A block of warps with a line each.
template <typename Shape>
Grid WarpGrid(const Lines& lines, cudaStream_t stream) {
  constexpr size_t kBytes = Shape::kWarps * sizeof(Space<Shape>);
  static_assert(kBytes <= 48 * 1024, "a block gets as much on every device without opting in");
  return {CeilDiv(lines.count(), Shape::kWarps), Shape::kThreads, kBytes, stream};
}

}  // namespace
}  // namespace jaxtv::cuda
