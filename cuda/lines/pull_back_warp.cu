// SPDX-License-Identifier: MIT
// One warp for each line of float with one weight (warp_pull_back.h).
#include "core/pull_back.h"
#include "cuda/common/stored.h"
#include "cuda/lines/pull_back.h"
#include "cuda/lines/warp_pull_back.h"

namespace jaxtv::cuda {
namespace {

// Runs of equal y, of which `cells` has the samples. Where y is NaN there is no derivative.
template <typename Shape>
struct RunsOfSamples {
  typename Shape::Bits starts = 0, falls = 0;

  __device__ RunsOfSamples(int n, PulledCells<Shape>& cells) {
    using Bits = typename Shape::Bits;
    constexpr int kSamples = Shape::kSamples;
    const int lane = int(threadIdx.x) % Shape::kLanes, left = n - FirstOfLane<Shape>();
    const auto cell = [lane](int k) { return k * Shape::kPitch + lane; };
    float before = lane > 0 && left > 0 ? cells.runs[cell(kSamples - 1) - 1] : 0.0f;
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      const bool inside = k < left, is_first = k == 0 && lane == 0;
      const float here = inside ? cells.runs[cell(k)] : before;
      starts = starts << 1 | Bits(inside && (is_first || !(here == before)));
      falls = falls << 1 | Bits(here < before);
      if (inside && here != here) cells.v[cell(k)] = NoDerivative(cells.v[cell(k)]);
      before = here;
    }
  }

  __device__ float Slope(int k, float before, float behind) const {
    return Shape::Has(falls, k) ? behind - before : before - behind;
  }
};

template <typename Shape, typename S>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    PullBackWarps(const __grid_constant__ PullBackOperands<float, S> p) {
  JAXTV_DYNAMIC_SHARED(PulledCells<Shape>, cells);
  const WarpLines<Shape> own(p.lines);
  own.Load(p.y, cells[own.slot].runs);
  own.Load(p.v, cells[own.slot].v);
  if (own.HasLine()) {
    const int n = int(p.lines.length);
    const bool untied = p.Lam(own.line)[0] == 0.0f;
    PulledCells<Shape>& line = cells[threadIdx.x / Shape::kLanes];
    const RunsOfSamples<Shape> runs(n, line);
    const float lam_bar = WarpPullBack<Shape, RunsOfSamples<Shape>>(n, runs, line).Run(untied);
    if (threadIdx.x % Shape::kLanes == 0) p.LamBar(own.line)[0] = lam_bar;
  }
  own.Store(p.x_bar, cells[own.slot].v);
}

}  // namespace

template <typename S>
Status PullBackByWarps(cudaStream_t stream, const PullBackOperands<float, S>& p) {
  return LaunchByWarps<S>(p.lines.length, [&](auto shape) {
    using Shape = decltype(shape);
    constexpr size_t kBytes = Shape::kWarps * sizeof(PulledCells<Shape>);
    const Grid grid{CeilDiv(p.lines.count(), Shape::kWarps), Shape::kThreads, kBytes, stream};
    return Launch("PullBackWarps", PullBackWarps<Shape, S>, grid, p);
  });
}

template Status PullBackByWarps(cudaStream_t, const PullBackOperands<float>&);
template Status PullBackByWarps(cudaStream_t, const PullBackOperands<float, __half>&);
template Status PullBackByWarps(cudaStream_t, const PullBackOperands<float, __nv_bfloat16>&);

}  // namespace jaxtv::cuda
