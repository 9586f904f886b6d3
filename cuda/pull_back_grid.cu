// SPDX-License-Identifier: MIT
// All blocks on each of a few very long lines: what pull_back_block.cu does, in chunks of the line,
// see chunks.h.
#include "core/pull_back.h"
#include "cuda/chunks.h"
#include "cuda/launch.h"
#include "cuda/pull_back.h"
#include "cuda/regime.h"

namespace jaxtv::cuda {
namespace {

template <typename T>
struct PullBackChunk {
  RunsOfChunk<T> runs;
  Total<T> slopes;  // the sum of lam_bar over the edges before the samples of the chunk
};

static_assert(2 * sizeof(PullBackChunk<double>) <= kChunkSampleBytes * kLeastTiles * kChunkThreads,
              "what is known of the chunks fits in the work space");

// A line, as its kernels see it.
template <typename T>
struct GridPullBack {
  PullBackOperands<T> operands;
  Chunks chunks;

  __device__ PullBackChunk<T>* ChunksOf(int64_t line) const {
    return static_cast<PullBackChunk<T>*>(operands.scratch) + line * chunks.per_line;
  }
  __device__ PullBackChunk<T>& Own() const { return ChunksOf(chunks.OwnLine())[chunks.OwnIndex()]; }
  __device__ bool Weighted() const { return operands.lam != nullptr; }
  __device__ bool PerEdge() const { return Weighted() && operands.weights.edge_stride != 0; }
};

template <typename T>
struct RunStarts {
  Line<const T> y, lam;
  int64_t n;
  bool per_edge;

  __device__ RunStarts(const GridPullBack<T>& p, int64_t line)
      : y(p.operands.Y(line)), lam{nullptr, 0}, n(p.operands.lines.length), per_edge(p.PerEdge()) {
    if (per_edge) lam = p.operands.Lam(line);
  }

  __device__ bool operator()(int64_t k) const {
    return k == 0 || k == n || !(y[k] == y[k - 1]) || (per_edge && lam[k - 1] == T(0));
  }
};

// The means of the runs of a chunk at their first samples.
template <typename T>
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    GridSumRuns(const __grid_constant__ GridPullBack<T> p) {
  const int64_t line = p.chunks.OwnLine();
  const Line<const T> y = p.operands.Y(line), v = p.operands.V(line);
  const Line<T> x_bar = p.operands.XBar(line);
  const RunStarts<T> starts(p, line);
  const Stretch own = p.chunks.Own();
  RunsOfChunk<T>& runs = p.Own().runs;
  if (threadIdx.x == 0) {
    runs.open.start = -1;
    runs.ends = 0;
  }

  RunSumSince<T> carry{{}, -1};
  for (int64_t tile = own.Tiles<kChunkThreads>() - 1; tile >= 0; --tile) {
    const int64_t k = own.begin + tile * kChunkThreads + threadIdx.x;
    const bool inside = k < own.end;
    RunSumSince<T> sum{{}, -1};
    if (inside) sum.sum = Widen<T>(double(y[k] == y[k] ? T(v[k]) : NoDerivative(v[k])));
    if (inside && starts(k + 1)) sum.end = k;
    sum = ExclusiveScan<kChunkThreads, Direction::kBackward>(sum, &carry).Then(sum);
    if (!inside || !starts(k)) continue;
    const OpenRun<T> run{sum.sum, k};
    if (sum.end < 0) {
      runs.open = run;
      continue;
    }
    const double mean = run.Mean({{}, sum.end});
    x_bar[k] = T(mean);
    if (sum.end == own.end - 1) {
      runs.ends = 1;
      runs.outgoing = mean;
    }
  }
  if (threadIdx.x == 0) runs.sum = carry;
}

template <typename T>
__global__ void __launch_bounds__(kJoinThreads, 1)
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
  const int64_t line = p.chunks.OwnLine();
  const Line<const T> y = p.operands.Y(line), v = p.operands.V(line);
  const Line<T> x_bar = p.operands.XBar(line);
  const bool weighted = p.Weighted(), per_edge = p.PerEdge();
  const Line<T> lam_bar = weighted ? p.operands.LamBar(line) : Line<T>{nullptr, 0};
  const bool untied = weighted && !per_edge && p.operands.Lam(line)[0] == T(0);
  const RunStarts<T> starts(p, line);
  const Stretch own = p.chunks.Own();

  Latest<T> latest{T(p.Own().runs.incoming), 1};
  Total<T> mine{};
  for (int64_t tile = 0; tile < own.Tiles<kChunkThreads>(); ++tile) {
    const int64_t k = own.begin + tile * kChunkThreads + threadIdx.x;
    const bool first = k < own.end && starts(k);
    const Latest<T> here{first ? x_bar[k] : T(0), first};
    const Latest<T> left = ExclusiveScan<kChunkThreads, Direction::kForward>(here, &latest);
    if (k >= own.end) continue;
    const T mean = left.Then(here).value;
    if (k > 0) {
      const T slope = EdgeSlope(T(y[k - 1]), left.value, T(y[k]), mean);
      mine.sum = mine.sum + Widen<T>(double(slope));
      if (per_edge) lam_bar[k - 1] = slope;
    }
    x_bar[k] = untied && y[k] == y[k] ? T(v[k]) : mean;
  }
  if (!weighted || per_edge) return;
  Total<T> slopes{};
  ExclusiveScan<kChunkThreads, Direction::kForward>(mine, &slopes);
  if (threadIdx.x == 0) p.Own().slopes = slopes;
}

// The cotangent of a weight that all edges of a line share.
template <typename T>
__global__ void __launch_bounds__(kJoinThreads, 1)
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
  if (operands.lam != nullptr && operands.weights.edge_stride == 0) {
    launches.Add("GridSumSlopes", GridSumSlopes<T>, by_line, p);
  }
  return launches.status();
}

template Status PullBackByGrid(cudaStream_t, const PullBackOperands<float>&);
template Status PullBackByGrid(cudaStream_t, const PullBackOperands<double>&);

}  // namespace jaxtv::cuda
