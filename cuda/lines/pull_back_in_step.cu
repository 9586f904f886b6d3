// SPDX-License-Identifier: MIT
// A warp for 32 short lines, a lane for each, in step: two passes over the samples, in float. Lines
// that are not fit for that are left to core/pull_back.h.
//
// The first pass, from left to right, keeps the mean of the run so far, by Kahan's sum of
// deviations from its first sample (walk_in_step.h). The second, from right to left, gives all of a
// run the mean that its last sample has, and adds up lam_bar; at an edge within a run, that adds 0.
#include "core/pull_back.h"
#include "cuda/common/launch.h"
#include "cuda/common/shared_address.h"
#include "cuda/common/stored.h"
#include "cuda/lines/pull_back.h"
#include "cuda/lines/staged_lines.h"

namespace jaxtv::cuda {
namespace {

// Kahan's sum.
struct CompensatedSum {
  float sum, carry;

  __device__ void Add(float value) {
    const float term = value - carry, more = sum + term;
    carry = (more - sum) - term;
    sum = more;
  }
};

// `v` becomes the mean of v over the run up to each sample, and `y` the jump of y behind it. False
// if the line is unfit: a sample of y or v is infinite or NaN, or one of v is huge.
template <typename Layout>
__device__ bool MeanRuns(float* y, float* v, int inverses, int n) {
  const SharedMemory memory;
  CompensatedSum run{0.0f, 0.0f};
  float first = v[0], level = y[0];
  bool fit = fabsf(level) < HUGE_VALF && fabsf(first) < kLargestInStep;
  int d = inverses + 4;
#pragma unroll 8
  for (int k = 1; k < n; ++k) {
    const float here = v[k * Layout::kStep], next = y[k * Layout::kStep], jump = next - level;
    fit = fit && fabsf(next) < HUGE_VALF && fabsf(here) < kLargestInStep;
    y[(k - 1) * Layout::kStep] = jump;
    const bool starts = jump != 0.0f;
    first = starts ? here : first;
    run = {starts ? 0.0f : run.sum, starts ? 0.0f : run.carry};
    run.Add(here - first);
    d = (starts ? inverses : d) + 4;
    v[k * Layout::kStep] = first + run.sum * memory[d];
    level = next;
  }
  return fit;
}

// value * sign(jump), where value is 0 if jump is.
__device__ float WithSign(float value, float jump) {
  return __uint_as_float(__float_as_uint(value) ^ (__float_as_uint(jump) & 0x80000000u));
}

// From the jumps and means of MeanRuns, writes x_bar and returns lam_bar.
template <typename Layout>
__device__ float FillMeans(const float* jumps, const float* means, int n,
                           const Line<float>& x_bar) {
  CompensatedSum total{0.0f, 0.0f};
  float right = means[(n - 1) * Layout::kStep];
  x_bar[n - 1] = right;
#pragma unroll 8
  for (int k = n - 2; k >= 0; --k) {
    const float jump = jumps[k * Layout::kStep], own = means[k * Layout::kStep];
    const float mean = jump == 0.0f ? right : own, fall = mean - right;
    total.Add(WithSign(fall, jump));
    x_bar[k] = mean;
    right = mean;
  }
  return total.sum;
}

// Of a lane's line, by core/pull_back.h: the samples of v, once more from memory, in float.
template <typename Layout, typename S>
__device__ void PullBackUnfit(const PullBackOperands<float, S>& p, int64_t line, float* v,
                              const Line<float>& x_bar) {
  const Line<const S> stored = p.V(line);
  const Line<float> samples{v, Layout::kStep};
  for (int k = 0; k < int(p.lines.length); ++k) samples[k] = Widened(stored[k]);
  PullBackLine(p.Y(line), p.Lam(line), Line<const float>{v, Layout::kStep}, p.lines.length, x_bar,
               p.LamBar(line));
}

template <typename Layout, typename S>
__global__ void __launch_bounds__(kWarp)
    PullBackWalk(const __grid_constant__ PullBackOperands<float, S> p, const int per_tile) {
  JAXTV_DYNAMIC_SHARED(float, v);
  const Layout tile(p.lines, per_tile);
  const int n = int(p.lines.length), cells = tile.Cells();
  float* const y = v + cells;
  float* const inverses = y + cells;
  WriteInverses(inverses, n);
  tile.Load(p.v, v);
  tile.Load(p.y, y);
  __syncthreads();
  if (int(threadIdx.x) < tile.count) {
    const int first = tile.First();
    const int64_t line = tile.first + threadIdx.x;
    const Line<float> x_bar = tile.Out(p.x_bar, v);
    const bool fit = MeanRuns<Layout>(y + first, v + first, SharedMemory::AddressOf(inverses), n);
    const float lam_bar = FillMeans<Layout>(y + first, v + first, n, x_bar);
    p.LamBar(line)[0] = lam_bar;
    if (!fit || p.Lam(line)[0] == 0.0f) PullBackUnfit<Layout>(p, line, v + first, x_bar);
  }
  tile.Store(v, p.x_bar);
}

}  // namespace

template <typename S>
Status PullBackInStep(cudaStream_t stream, const PullBackOperands<float, S>& p) {
  const bool columns = p.lines.inner >= kWarp;
  const int per_tile = columns ? kWarp : int(LinesPerTile(p.lines));
  return Launch("PullBackWalk",
                columns ? PullBackWalk<StagedColumns, S> : PullBackWalk<StagedRows, S>,
                WalkGrid(p.lines, per_tile, stream), p, per_tile);
}

template Status PullBackInStep(cudaStream_t, const PullBackOperands<float>&);
template Status PullBackInStep(cudaStream_t, const PullBackOperands<float, __half>&);
template Status PullBackInStep(cudaStream_t, const PullBackOperands<float, __nv_bfloat16>&);

}  // namespace jaxtv::cuda
