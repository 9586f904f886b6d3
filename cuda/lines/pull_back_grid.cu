// SPDX-License-Identifier: MIT
// All blocks on each of a few very long lines: the passes of pull_back_scans.h over chunks of the
// line (chunks.h).
#include "cuda/common/launch.h"
#include "cuda/lines/chunks.h"
#include "cuda/lines/pull_back.h"
#include "cuda/lines/pull_back_scans.h"
#include "cuda/lines/work_space.h"

namespace jaxtv::cuda {
namespace {

template <typename T>
struct PullBackChunk {
  RunsOfChunk<T> runs;
  Total<T> slopes;  // the sum of lam_bar over the edges before the samples of the chunk
};

static_assert(2 * sizeof(PullBackChunk<double>) <= kChunkSampleBytes * kLeastTiles * kChunkThreads,
              "the states of the chunks fit in the work space");

// The parameters of all kernels.
template <typename T>
struct GridPullBack {
  PullBackOperands<T> operands;
  Chunks chunks;

  __device__ PullBackChunk<T>* ChunksOf(int64_t line) const {
    return static_cast<PullBackChunk<T>*>(operands.scratch) + line * chunks.per_line;
  }
  __device__ PullBackChunk<T>& Own() const { return ChunksOf(chunks.OwnLine())[chunks.OwnIndex()]; }
  __device__ PulledLine<T, kChunkThreads> OwnLine() const { return {operands, chunks.OwnLine()}; }
};

// Writes the means of the runs of a chunk at their first samples.
template <typename T>
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    GridSumRuns(const __grid_constant__ GridPullBack<T> p) {
  const auto line = p.OwnLine();
  const Stretch own = p.chunks.Own();
  RunsOfChunk<T>& runs = p.Own().runs;
  if (threadIdx.x == 0) {
    runs.open.start = -1;
    runs.ends = 0;
  }
  RunSumSince<T> carry{{}, -1};
  line.SumRuns(own, &carry, [&](int64_t k, const RunSumSince<T>& sum) {
    const OpenRun<T> run{sum.sum, k};
    if (sum.end < 0) {
      runs.open = run;
      return;
    }
    const double mean = run.Mean({{}, sum.end});
    line.x_bar[k] = T(mean);
    if (sum.end == own.end - 1) {
      runs.ends = 1;
      runs.outgoing = mean;
    }
  });
  if (threadIdx.x == 0) runs.sum = carry;
}

template <typename T>
__global__ void __launch_bounds__(kJoinThreads, kJoinBlocks)
    GridJoinRuns(const __grid_constant__ GridPullBack<T> p) {
  PullBackChunk<T>* const chunks = p.ChunksOf(blockIdx.x);
  const Line<T> x_bar = p.operands.XBar(blockIdx.x);
  JoinRuns<T>(
      p.chunks.per_line, [&](int c) -> RunsOfChunk<T>& { return chunks[c].runs; },
      [&](int64_t start, double mean) { x_bar[start] = T(mean); });
}

template <typename T>
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    GridFillRuns(const __grid_constant__ GridPullBack<T> p) {
  const auto line = p.OwnLine();
  const Total<T> mine = line.FillRuns(p.chunks.Own(), {T(p.Own().runs.incoming), 1});
  if (line.per_edge) return;
  Total<T> slopes{};
  ExclusiveScan<kChunkThreads, Direction::kForward>(mine, &slopes);
  if (threadIdx.x == 0) p.Own().slopes = slopes;
}

// The cotangent of a weight that all edges of a line share.
template <typename T>
__global__ void __launch_bounds__(kJoinThreads, kJoinBlocks)
    GridSumSlopes(const __grid_constant__ GridPullBack<T> p) {
  const PullBackChunk<T>* const chunks = p.ChunksOf(blockIdx.x);
  Total<T> mine{}, all{};
  for (int c = threadIdx.x; c < p.chunks.per_line; c += kJoinThreads) {
    mine = mine.Then(chunks[c].slopes);
  }
  ExclusiveScan<kJoinThreads, Direction::kForward>(mine, &all);
  if (threadIdx.x == 0) p.operands.LamBar(blockIdx.x)[0] = T(all.sum.Over(1));
}

}  // namespace

template <typename T>
Status PullBackByGrid(cudaStream_t stream, const PullBackOperands<T>& operands) {
  const GridPullBack<T> p{operands, Chunks(operands.lines)};
  const Grid by_chunk{p.chunks.count(), kChunkThreads, 0, stream};
  const Grid by_line{operands.lines.count(), kJoinThreads, 0, stream};
  LaunchSequence launches;
  launches.Add("GridSumRuns", GridSumRuns<T>, by_chunk, p);
  launches.Add("GridJoinRuns", GridJoinRuns<T>, by_line, p);
  launches.Add("GridFillRuns", GridFillRuns<T>, by_chunk, p);
  if (operands.weights.edge_stride == 0) {
    launches.Add("GridSumSlopes", GridSumSlopes<T>, by_line, p);
  }
  return launches.status();
}

template Status PullBackByGrid(cudaStream_t, const PullBackOperands<float>&);
template Status PullBackByGrid(cudaStream_t, const PullBackOperands<double>&);

}  // namespace jaxtv::cuda
