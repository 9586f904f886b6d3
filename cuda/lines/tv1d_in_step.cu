// SPDX-License-Identifier: MIT
// A warp for 32 short lines, a lane for each, walked in step (prox_in_step.h) in shared memory.
#include <type_traits>

#include "cuda/common/launch.h"
#include "cuda/common/stored.h"
#include "cuda/lines/prox_in_step.h"
#include "cuda/lines/staged_lines.h"
#include "cuda/lines/tv1d.h"

namespace jaxtv::cuda {
namespace {

template <typename Layout, typename S>
__global__ void __launch_bounds__(kWarp)
    ProxWalk(const Lines lines, const int per_tile, const __grid_constant__ WeightLayout weights,
             const S* __restrict__ x, const float* __restrict__ lam, S* __restrict__ y,
             float* __restrict__ unrounded, const WantedLines wanted) {
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
  if constexpr (!std::is_same_v<S, float>) {
    if (unrounded != nullptr) tile.Copy(slots, unrounded);
  }
}

}  // namespace

template <typename S>
Status ProxTv1dInStep(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      const S* x, const float* lam, S* y, float* unrounded,
                      const WantedLines& wanted) {
  const bool columns = lines.inner >= kWarp;
  const int per_tile = columns ? kWarp : int(LinesPerTile(lines));
  return Launch("ProxWalk", columns ? ProxWalk<StagedColumns, S> : ProxWalk<StagedRows, S>,
                WalkGrid(lines, per_tile, stream), lines, per_tile, weights, x, lam, y, unrounded,
                wanted);
}

template Status ProxTv1dInStep(cudaStream_t, const Lines&, const WeightLayout&, const float*,
                               const float*, float*, float*, const WantedLines&);
template Status ProxTv1dInStep(cudaStream_t, const Lines&, const WeightLayout&, const __half*,
                               const float*, __half*, float*, const WantedLines&);
template Status ProxTv1dInStep(cudaStream_t, const Lines&, const WeightLayout&,
                               const __nv_bfloat16*, const float*, __nv_bfloat16*, float*,
                               const WantedLines&);

}  // namespace jaxtv::cuda
