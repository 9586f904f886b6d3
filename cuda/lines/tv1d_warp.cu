// SPDX-License-Identifier: MIT
// One warp for each line (warp_prox.h).
#include <type_traits>

#include "cuda/common/launch.h"
#include "cuda/common/stored.h"
#include "cuda/lines/tv1d.h"
#include "cuda/lines/warp_prox.h"

namespace jaxtv::cuda {
namespace {

template <typename Shape, typename S>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    ProxWarps(const Lines lines, const __grid_constant__ WeightLayout weights,
              const S* __restrict__ x, const float* __restrict__ lam, S* __restrict__ y,
              float* __restrict__ unrounded, const WantedLines wanted) {
  JAXTV_DYNAMIC_SHARED(Space<Shape>, spaces);
  const WarpLines<Shape> own(lines);
  if (!__syncthreads_or(own.HasLine() && wanted.Has(lines, own.line))) return;
  own.Load(x, Cells(spaces[own.slot]));
  if (own.HasLine()) {
    SolveByWarp(weights.At(lam, own.line), int(lines.length), spaces[threadIdx.x / Shape::kLanes]);
  }
  own.Store(y, Cells(spaces[own.slot]));
  if constexpr (!std::is_same_v<S, float>) {
    if (unrounded != nullptr) own.Copy(unrounded, Cells(spaces[own.slot]));
  }
}

}  // namespace

template <typename S>
Status ProxTv1dByWarps(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                       const S* x, const float* lam, S* y, float* unrounded,
                       const WantedLines& wanted) {
  return LaunchByWarps<S>(lines.length, [&](auto shape) {
    using Shape = decltype(shape);
    return Launch("ProxWarps", ProxWarps<Shape, S>, WarpGrid<Shape>(lines, stream), lines, weights,
                  x, lam, y, unrounded, wanted);
  });
}

template Status ProxTv1dByWarps(cudaStream_t, const Lines&, const WeightLayout&, const float*,
                                const float*, float*, float*, const WantedLines&);
template Status ProxTv1dByWarps(cudaStream_t, const Lines&, const WeightLayout&, const __half*,
                                const float*, __half*, float*, const WantedLines&);
template Status ProxTv1dByWarps(cudaStream_t, const Lines&, const WeightLayout&,
                                const __nv_bfloat16*, const float*, __nv_bfloat16*, float*,
                                const WantedLines&);

}  // namespace jaxtv::cuda
