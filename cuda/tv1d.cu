// SPDX-License-Identifier: MIT
// One thread for each line: the recurrence of core/tv1d.h as it stands. Where inner >= 32,
// neighbouring threads read neighbouring samples. Else a warp stages the lines of its threads in
// shared memory, and reads and writes them together.
#include "core/run.h"
#include "core/tv1d.h"
#include "cuda/launch.h"
#include "cuda/regime.h"
#include "cuda/tv1d.h"

namespace jaxtv::cuda {
namespace {

constexpr int kLineThreads = 64;
constexpr int kLineBlocks = 8;  // on a multiprocessor: without it, nvcc saves registers by spilling

template <typename T>
__global__ void __launch_bounds__(kLineThreads, kLineBlocks)
    ProxLines(const Lines lines, const __grid_constant__ WeightLayout weights,
              const T* __restrict__ x, const T* __restrict__ lam, T* __restrict__ y) {
  const int64_t line = int64_t(blockIdx.x) * kLineThreads + threadIdx.x;
  if (line >= lines.count()) return;
  ProxLine(lines.At(x, line), weights.At(lam, line), lines.length, lines.At(y, line));
}

template <typename T>
__global__ void __launch_bounds__(kLineThreads, kLineBlocks)
    RunMeanLines(const Lines lines, const T* __restrict__ y, const T* __restrict__ v,
                 T* __restrict__ mean) {
  const int64_t line = int64_t(blockIdx.x) * kLineThreads + threadIdx.x;
  if (line >= lines.count()) return;
  RunMeanLine(lines.At(y, line), lines.At(v, line), lines.length, lines.At(mean, line));
}

// The lines that a block stages.
struct Tile {
  Lines lines;
  int64_t first;
  int count;

  __device__ Tile(const Lines& all, int per_tile) : lines(all) {
    first = int64_t(blockIdx.x) * per_tile;
    const int64_t left = all.count() - first;
    count = left < per_tile ? int(left) : per_tile;
  }

  template <typename T>
  __device__ Line<T> Row(T* tile) const {
    return {tile + threadIdx.x * RowStride(lines.length), 1};
  }

  // visit(index in memory, index in the tile) for each sample; lanes at neighbours in memory.
  template <typename Visit>
  __device__ void ForEach(const Visit& visit) const {
    const int inner = int(lines.inner), stride = int(RowStride(lines.length));
    const int samples = int(lines.length) * inner;
    for (int group = 0; group < count; group += inner) {
      const int64_t base = (first + group) * lines.length;
      int k = int(threadIdx.x) / inner, i = int(threadIdx.x) % inner;
      for (int e = threadIdx.x; e < samples; e += kWarp) {
        visit(base + e, (group + i) * stride + k);
        k += kWarp / inner;
        i += kWarp % inner;
        if (i >= inner) {
          i -= inner;
          ++k;
        }
      }
    }
  }
};

// The prox of a line whose samples are also in `row`, in place. Divide and conquer would need them
// beside its marks, so a line over budget starts over in memory.
template <typename T>
__device__ void ProxStaged(Line<T> row, Line<const T> x, Line<const T> lam, int64_t n, Line<T> y) {
  const Line<const T> in{row.data, row.stride};
  const LineSummary<T> summary = Summarize(in, lam, n);
  if (WriteTrivial(summary, in, n, row)) return;
  const EdgeWeights<T> w = CappedWeights(summary, lam, n);
  RunWriter<T> walker(in, row);
  int64_t start = 0;
  if (WalkRuns(in, w, n, StepBudget(n), walker, &start)) return;
  RunWriter<T> writer(x, y);
  DivideRuns(x, w, int64_t(0), n, y, writer);
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

template <typename T>
__global__ void __launch_bounds__(kWarp)
    RunMeanTile(const Lines lines, const int per_tile, const T* __restrict__ y,
                const T* __restrict__ v, T* __restrict__ mean) {
  JAXTV_DYNAMIC_SHARED(T, staged);
  T* const staged_v = staged + per_tile * RowStride(lines.length);
  const Tile tile(lines, per_tile);
  tile.ForEach([&](int64_t at, int slot) {
    staged[slot] = y[at];
    staged_v[slot] = v[at];
  });
  __syncthreads();
  if (int(threadIdx.x) < tile.count) {
    const Line<const T> level = tile.Row<const T>(staged);
    const Line<T> row = tile.Row(staged_v);
    RunMeanLine(level, Line<const T>{row.data, row.stride}, lines.length, row);
  }
  __syncthreads();
  tile.ForEach([&](int64_t at, int slot) { mean[at] = staged_v[slot]; });
}

Grid LineGrid(const Lines& lines, cudaStream_t stream) {
  return {CeilDiv(lines.count(), kLineThreads), kLineThreads, 0, stream};
}

Grid TileGrid(const Lines& lines, size_t sample_bytes, cudaStream_t stream) {
  return {CeilDiv(lines.count(), LinesPerTile(lines)), kWarp,
          size_t(TileBytes(lines, sample_bytes)), stream};
}

}  // namespace

template <typename T>
Status ProxTv1d(cudaStream_t stream, const Lines& lines, const WeightLayout& weights, const T* x,
                const T* lam, T* y, void* scratch) {
  switch (ChooseRegime(lines, sizeof(T))) {
    case Regime::kThreadPerLine:
      return Launch("ProxLines", ProxLines<T>, LineGrid(lines, stream), lines, weights, x, lam, y);
    case Regime::kStagedLines:
      return Launch("ProxTile", ProxTile<T>, TileGrid(lines, sizeof(T), stream), lines,
                    int(LinesPerTile(lines)), weights, x, lam, y);
    case Regime::kBlockPerLine:
      return ProxTv1dByBlocks(stream, lines, weights, x, lam, y, scratch);
  }
  return {};
}

template <typename T>
Status RunMean(cudaStream_t stream, const Lines& lines, const T* y, const T* v, T* mean) {
  switch (ChooseRegime(lines, 2 * sizeof(T))) {
    case Regime::kThreadPerLine:
      return Launch("RunMeanLines", RunMeanLines<T>, LineGrid(lines, stream), lines, y, v, mean);
    case Regime::kStagedLines:
      return Launch("RunMeanTile", RunMeanTile<T>, TileGrid(lines, 2 * sizeof(T), stream), lines,
                    int(LinesPerTile(lines)), y, v, mean);
    case Regime::kBlockPerLine:
      return RunMeanByBlocks(stream, lines, y, v, mean);
  }
  return {};
}

template Status ProxTv1d(cudaStream_t, const Lines&, const WeightLayout&, const float*,
                         const float*, float*, void*);
template Status ProxTv1d(cudaStream_t, const Lines&, const WeightLayout&, const double*,
                         const double*, double*, void*);
template Status RunMean(cudaStream_t, const Lines&, const float*, const float*, float*);
template Status RunMean(cudaStream_t, const Lines&, const double*, const double*, double*);

}  // namespace jaxtv::cuda
