// SPDX-License-Identifier: MIT
// One thread for each line: the recurrence of core/tv1d.h as it stands. Where inner >= 32,
// neighbouring threads read neighbouring samples. Else a warp stages the lines of its threads in
// shared memory, and reads and writes them together.
#include "core/run.h"
#include "core/tv1d.h"
#include "cuda/launch.h"
#include "cuda/line_grids.h"
#include "cuda/regime.h"
#include "cuda/tv1d.h"

namespace jaxtv::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(kLineThreads, kLineBlocks)
    ProxLines(const Lines lines, const __grid_constant__ WeightLayout weights,
              const T* __restrict__ x, const T* __restrict__ lam, T* __restrict__ y) {
  const int64_t line = int64_t(blockIdx.x) * kLineThreads + threadIdx.x;
  if (line >= lines.count()) return;
  ProxLine(lines.At(x, line), weights.At(lam, line), lines.length, lines.At(y, line));
}

// The prox of a line whose samples are also in `row`, in place. Divide and conquer would need them
// beside its marks, so a line over budget starts over in memory.
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
__global__ void __launch_bounds__(kWarp)
    ProxTile(const Lines lines, const int per_tile, const __grid_constant__ WeightLayout weights,
             const T* __restrict__ x, const T* __restrict__ lam, T* __restrict__ y) {
  JAXTV_DYNAMIC_SHARED(T, staged);
  const Tile tile(lines, per_tile);
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
                const T* lam, T* y, void* scratch) {
  const Regime regime = ChooseRegime(lines, sizeof(T));
  if constexpr (sizeof(T) == sizeof(float)) {
    if (WalkInStep(regime, lines, weights)) {
      return ProxTv1dInStep(stream, lines, weights, x, lam, y);
    }
  }
  switch (regime) {
    case Regime::kThreadPerLine:
      return Launch("ProxLines", ProxLines<T>, LineGrid(lines, stream), lines, weights, x, lam, y);
    case Regime::kStagedLines:
      return Launch("ProxTile", ProxTile<T>, TileGrid(lines, sizeof(T), stream), lines,
                    int(LinesPerTile(lines)), weights, x, lam, y);
    case Regime::kBlockPerLine:
      return ProxTv1dByBlocks(stream, lines, weights, x, lam, y, scratch);
    case Regime::kGrid:
      return ProxTv1dByGrid(stream, lines, weights, x, lam, y, scratch);
  }
  return {};
}

template Status ProxTv1d(cudaStream_t, const Lines&, const WeightLayout&, const float*,
                         const float*, float*, void*);
template Status ProxTv1d(cudaStream_t, const Lines&, const WeightLayout&, const double*,
                         const double*, double*, void*);

}  // namespace jaxtv::cuda
