// SPDX-License-Identifier: MIT
// One warp for each line of float with one weight: divide and conquer in registers
// (warp_divide.h). Lines that are not fit for that are solved by core/tv1d.h.
#include "core/tv1d.h"
#include "cuda/common/launch.h"
#include "cuda/common/scan.h"
#include "cuda/lines/kernel_choice.h"
#include "cuda/lines/tv1d.h"
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

// Solves a line in its cells; false if it is not fit. A constant line, or one without a weight,
// stays as it is, signed zeros included.
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

template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    ProxWarps(const Lines lines, const __grid_constant__ WeightLayout weights,
              const float* __restrict__ x, const float* __restrict__ lam, float* __restrict__ y) {
  JAXTV_DYNAMIC_SHARED(Space<Shape>, spaces);
  const WarpLines<Shape> own(lines);
  own.Load(x, Cells(spaces[own.slot]));
  if (own.HasLine()) {
    const int n = int(lines.length);
    Space<Shape>& space = spaces[threadIdx.x / Shape::kLanes];
    const Line<const float> lambda = weights.At(lam, own.line);
    const bool solved = SolveCells(lambda[0], n, space);
    if (!solved && threadIdx.x % Shape::kLanes == 0) {
      const Line<float> out = lines.At(y, own.line);
      ProxLine(lines.At(x, own.line), lambda, n, out);
      for (int k = 0; k < n; ++k) Cells(space)[Shape::Cell(k)] = out[k];
    }
  }
  own.Store(y, Cells(spaces[own.slot]));
}

template <int kSamples>
Status LaunchWarps(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                   const float* x, const float* lam, float* y) {
  using Shape = WarpShape<kSamples>;
  constexpr size_t kBytes = Shape::kWarps * sizeof(Space<Shape>);
  static_assert(kBytes <= 48 * 1024, "a block gets as much on every device without opting in");
  const Grid grid{CeilDiv(lines.count(), Shape::kWarps), Shape::kThreads, kBytes, stream};
  return Launch("ProxWarps", ProxWarps<Shape>, grid, lines, weights, x, lam, y);
}

}  // namespace

Status ProxTv1dByWarps(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                       const float* x, const float* lam, float* y) {
  const auto launch = [&](auto* launcher) { return launcher(stream, lines, weights, x, lam, y); };
  if (lines.length <= 32 * 8) return launch(LaunchWarps<8>);
  if (lines.length <= 32 * 16) return launch(LaunchWarps<16>);
  if (lines.length <= 32 * 32) return launch(LaunchWarps<32>);
  return launch(LaunchWarps<64>);
}

}  // namespace jaxtv::cuda
