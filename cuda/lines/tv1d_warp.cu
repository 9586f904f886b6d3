// SPDX-License-Identifier: MIT
// One warp for each line (warp_prox.h).
#include "cuda/common/launch.h"
#include "cuda/lines/tv1d.h"
#include "cuda/lines/warp_prox.h"

namespace jaxtv::cuda {
namespace {

template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    ProxWarps(const Lines lines, const __grid_constant__ WeightLayout weights,
              const float* __restrict__ x, const float* __restrict__ lam, float* __restrict__ y,
              const WantedLines wanted) {
  JAXTV_DYNAMIC_SHARED(Space<Shape>, spaces);
  const WarpLines<Shape> own(lines);
  if (!__syncthreads_or(own.HasLine() && wanted.Has(lines, own.line))) return;
  own.Load(x, Cells(spaces[own.slot]));
  if (own.HasLine()) {
    SolveByWarp(weights.At(lam, own.line), int(lines.length), spaces[threadIdx.x / Shape::kLanes]);
  }
  own.Store(y, Cells(spaces[own.slot]));
}

}  // namespace

Status ProxTv1dByWarps(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                       const float* x, const float* lam, float* y, const WantedLines& wanted) {
  return LaunchByWarps(lines.length, [&](auto shape) {
    using Shape = decltype(shape);
    return Launch("ProxWarps", ProxWarps<Shape>, WarpGrid<Shape>(lines, stream), lines, weights, x,
                  lam, y, wanted);
  });
}

}  // namespace jaxtv::cuda
