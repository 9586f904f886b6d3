// SPDX-License-Identifier: MIT
// A warp for 32 short lines, a lane for each, walked in step (tv1d_walk.h) in shared memory. What
// is not fit for that is solved there by core/tv1d.h.
#include "core/tv1d.h"
#include "cuda/launch.h"
#include "cuda/shared_address.h"
#include "cuda/short_lines.h"
#include "cuda/tv1d.h"
#include "cuda/tv1d_walk.h"

namespace jaxtv::cuda {
namespace {

// Levels, from their slots, for all samples of their runs. What was there tells whether the line
// was fit for a walk: no sample infinite, NaN or huge, and not all of them zeros of which one has a
// minus, which it must keep.
template <typename Layout>
__device__ bool FillRuns(const float* samples, const float* slots, int n, const Line<float>& y) {
  bool fit = true;
  unsigned bits = 0;
  float level = 0.0f;
#pragma unroll 8
  for (int k = n - 1; k >= 0; --k) {
    const float sample = samples[k * Layout::kStep], slot = slots[k * Layout::kStep];
    fit = fit && fabsf(sample) < kLargestInStep;
    bits |= __float_as_uint(sample);
    level = slot == slot ? slot : level;
    y[k] = level;
  }
  return fit && bits != __float_as_uint(-0.0f);
}

template <typename Layout>
__global__ void __launch_bounds__(kWarp)
    ProxWalk(const Lines lines, const int per_tile, const __grid_constant__ WeightLayout weights,
             const float* __restrict__ x, const float* __restrict__ lam, float* __restrict__ y) {
  JAXTV_DYNAMIC_SHARED(float, samples);
  const Layout tile(lines, per_tile);
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
    const float w = lambda[0];
    LineWalk<SharedMemory, Layout::kStep * 4> walk(
        SharedMemory(), SharedMemory::AddressOf(samples + first), Kept(cells * 4),
        SharedMemory::AddressOf(inverses), n, w);
    while (!walk.AtEnd()) walk.Step();
    const bool walked = walk.Finish() && w >= kLeastWeight;
    const Line<float> out = tile.Out(y, slots);
    if (!FillRuns<Layout>(samples + first, slots + first, n, out) || !walked) {
      ProxLine(Line<const float>{samples + first, Layout::kStep}, lambda, n, out);
    }
  }
  tile.Store(slots, y);
}

template <typename Layout>
Status LaunchWalk(cudaStream_t stream, const Lines& lines, int per_tile,
                  const WeightLayout& weights, const float* x, const float* lam, float* y) {
  return Launch("ProxWalk", ProxWalk<Layout>, WalkGrid(lines, per_tile, stream), lines, per_tile,
                weights, x, lam, y);
}

}  // namespace

Status ProxTv1dInStep(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      const float* x, const float* lam, float* y) {
  if (lines.inner >= kWarp) {
    return LaunchWalk<StagedColumns>(stream, lines, kWarp, weights, x, lam, y);
  }
  const int per_tile = int(LinesPerTile(lines));
  return LaunchWalk<StagedRows>(stream, lines, per_tile, weights, x, lam, y);
}

}  // namespace jaxtv::cuda
