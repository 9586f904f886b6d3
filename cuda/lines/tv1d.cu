// SPDX-License-Identifier: MIT
// One thread for each line runs the recurrence of core/tv1d.h unchanged. Where inner >= 32,
// neighbouring threads read neighbouring samples. Else a warp stages the lines of its threads in
// shared memory, so that it reads and writes neighbours in memory together.
#include "core/run.h"
#include "core/tv1d.h"
#include "cuda/common/launch.h"
#include "cuda/common/stored.h"
#include "cuda/lines/kernel_choice.h"
#include "cuda/lines/line_tile.h"
#include "cuda/lines/tv1d.h"

namespace jaxtv::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(kLineThreads, kLineBlocks)
    ProxLines(const Lines lines, const __grid_constant__ WeightLayout weights,
              const T* __restrict__ x, const T* __restrict__ lam, T* __restrict__ y,
              const WantedLines wanted) {
  const int64_t line = int64_t(blockIdx.x) * kLineThreads + threadIdx.x;
  if (line >= lines.count() || !wanted.Has(lines, line)) return;
  ProxLine(lines.At(x, line), weights.At(lam, line), lines.length, lines.At(y, line));
}

// The prox of the line `x`, a copy of which is in `row`, written to `row`. Divide and conquer needs
// the samples besides its marks, so a line over budget starts over from `x`, with `y` for its
// marks.
template <typename T>
__device__ void ProxStaged(Line<T> row, Line<const T> x, Line<const T> lam, int64_t n, Line<T> y) {
  const Line<const T> in{row.data, row.stride};
  const LineSummary<T> summary = Summarize(in, lam, n);
  if (WriteTrivial(summary, in, n, row)) return;
  bool done = false;
  SolveInUnit(summary, in, lam, n, row, [&](const auto& samples, const auto& w) {
    RunWriter writer(samples, row);
    done = WalkRuns(samples, w, n, writer) == n;
  });
  if (done) return;
  SolveInUnit(summary, x, lam, n, y, [&](const auto& samples, const auto& w) {
    RunWriter writer(samples, y);
    DivideRuns(samples, w, int64_t(0), n, y, writer);
  });
  for (int64_t k = 0; k < n; ++k) row[k] = y[k];
}

template <typename T>
__global__ void __launch_bounds__(kWarp, kLineBlocks)
    ProxTile(const Lines lines, const int per_tile, const __grid_constant__ WeightLayout weights,
             const T* __restrict__ x, const T* __restrict__ lam, T* __restrict__ y,
             const WantedLines wanted) {
  JAXTV_DYNAMIC_SHARED(T, staged);
  const LineTile tile(lines, per_tile);
  if (!AnyWanted(tile, wanted)) return;
  tile.ForEach([&](int64_t at, int slot) { staged[slot] = x[at]; });
  __syncthreads();
  if (int(threadIdx.x) < tile.count) {
    const int64_t line = tile.first + threadIdx.x;
    ProxStaged(tile.Row(staged), lines.At(x, line), weights.At(lam, line), lines.length,
               lines.At(y, line));
  }
  __syncthreads();
  tile.ForEach([&](int64_t at, int slot) { y[at] = staged[slot]; });
}

}  // namespace

template <typename T>
Status ProxTv1d(cudaStream_t stream, const Lines& lines, const WeightLayout& weights, const T* x,
                const T* lam, T* y, void* scratch, const WantedLines& wanted) {
  const LineKernel kernel = ChooseKernel(lines, sizeof(T));
  if constexpr (sizeof(T) == sizeof(float)) {
    if (SolvedInStep(kernel, lines, weights)) {
      return ProxTv1dInStep(stream, lines, weights, x, lam, y, nullptr, wanted);
    }
    if (SolvedByWarps(lines, weights)) {
      return ProxTv1dByWarps(stream, lines, weights, x, lam, y, nullptr, wanted);
    }
  }
  switch (kernel) {
    case LineKernel::kThreadPerLine:
      return Launch("ProxLines", ProxLines<T>, LineGrid(lines, stream), lines, weights, x, lam, y,
                    wanted);
    case LineKernel::kStagedLines:
      return Launch("ProxTile", ProxTile<T>, TileGrid(lines, sizeof(T), stream), lines,
                    int(LinesPerTile(lines)), weights, x, lam, y, wanted);
    case LineKernel::kBlockPerLine:
      return ProxTv1dByBlocks(stream, lines, weights, x, lam, y, scratch, wanted);
    case LineKernel::kGrid:
      return ProxTv1dByGrid(stream, lines, weights, x, lam, y, scratch);
  }
  return {};
}

template <typename S>
Status ProxTv1dInHalf(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      const S* x, const float* lam, S* y, float* unrounded) {
  const bool in_step = SolvedInStep(ChooseKernel(lines, sizeof(float)), lines, weights);
  return (in_step ? ProxTv1dInStep<S> : ProxTv1dByWarps<S>)(stream, lines, weights, x, lam, y,
                                                            unrounded, {});
}

template Status ProxTv1dInHalf(cudaStream_t, const Lines&, const WeightLayout&, const __half*,
                               const float*, __half*, float*);
template Status ProxTv1dInHalf(cudaStream_t, const Lines&, const WeightLayout&,
                               const __nv_bfloat16*, const float*, __nv_bfloat16*, float*);

template Status ProxTv1d(cudaStream_t, const Lines&, const WeightLayout&, const float*,
                         const float*, float*, void*, const WantedLines&);
template Status ProxTv1d(cudaStream_t, const Lines&, const WeightLayout&, const double*,
                         const double*, double*, void*, const WantedLines&);

}  // namespace jaxtv::cuda
