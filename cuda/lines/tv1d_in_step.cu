// SPDX-License-Identifier: MIT
// A warp for 32 short lines, a lane for each, walked in step (prox_in_step.h) in shared memory.
#include "cuda/common/launch.h"
#include "cuda/lines/prox_in_step.h"
#include "cuda/lines/staged_lines.h"
#include "cuda/lines/tv1d.h"

namespace jaxtv::cuda {
namespace {

template <typename Layout>
__global__ void __launch_bounds__(kWarp)
    ProxWalk(const Lines lines, const int per_tile, const __grid_constant__ WeightLayout weights,
             const float* __restrict__ x, const float* __restrict__ lam, float* __restrict__ y,
             const WantedLines wanted) {
  JAXTV_DYNAMIC_SHARED(float, samples);
  const Layout tile(lines, per_tile);
  if (!AnyWanted(tile, wanted)) return;
  const int n = int(lines.length), cells = tile.Cells();
  float* const slots = samples + cells;
  float* const inverses = slots + cells;
  WriteInverses(inverses, n);
  tile.Load(x, samples);
  Clear(slots, cells);
  __syncthreads();
  if (int(threadIdx.x) < tile.count) {
    const int first = tile.First();
    const Line<const float> lambda = weights.At(lam, tile.first + threadIdx.x);
    const SlottedLine<Floats<Layout::kStep>> line{samples + first, slots + first, {}};
    SolveInStep(line, inverses, lambda, n, tile.Out(y, slots));
  }
  tile.Store(slots, y);
}

template <typename Layout>
Status LaunchWalk(cudaStream_t stream, const Lines& lines, int per_tile,
                  const WeightLayout& weights, const float* x, const float* lam, float* y,
                  const WantedLines& wanted) {
  return Launch("ProxWalk", ProxWalk<Layout>, WalkGrid(lines, per_tile, stream), lines, per_tile,
                weights, x, lam, y, wanted);
}

}  // namespace

Status ProxTv1dInStep(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      const float* x, const float* lam, float* y, const WantedLines& wanted) {
  if (lines.inner >= kWarp) {
    return LaunchWalk<StagedColumns>(stream, lines, kWarp, weights, x, lam, y, wanted);
  }
  const int per_tile = int(LinesPerTile(lines));
  return LaunchWalk<StagedRows>(stream, lines, per_tile, weights, x, lam, y, wanted);
}

}  // namespace jaxtv::cuda
