// SPDX-License-Identifier: MIT
// One thread for each line, in memory or staged as in tv1d.cu, runs core/pull_back.h unchanged.
#include "core/pull_back.h"
#include "cuda/common/launch.h"
#include "cuda/common/stored.h"
#include "cuda/lines/kernel_choice.h"
#include "cuda/lines/line_tile.h"
#include "cuda/lines/pull_back.h"

namespace jaxtv::cuda {
namespace {

template <typename T>
__global__ void __launch_bounds__(kLineThreads, kLineBlocks)
    PullBackLines(const __grid_constant__ PullBackOperands<T> p) {
  const int64_t line = int64_t(blockIdx.x) * kLineThreads + threadIdx.x, n = p.lines.length;
  if (line >= p.lines.count()) return;
  PullBackLine(p.Y(line), p.Lam(line), p.V(line), n, p.XBar(line), p.LamBar(line));
}

// In the tile, the cotangent of each edge takes the place of the sample behind the edge.
template <typename T>
__global__ void __launch_bounds__(kWarp)
    PullBackTile(const __grid_constant__ PullBackOperands<T> p, const int per_tile) {
  JAXTV_DYNAMIC_SHARED(T, staged);
  T* const staged_v = staged + per_tile * RowStride(p.lines.length);
  const LineTile tile(p.lines, per_tile);
  const int64_t n = p.lines.length;
  const bool per_edge = p.weights.edge_stride != 0;
  tile.ForEach([&](int64_t at, int slot) {
    staged[slot] = p.y[at];
    staged_v[slot] = p.v[at];
  });
  __syncthreads();
  if (int(threadIdx.x) < tile.count) {
    const int64_t line = tile.first + threadIdx.x;
    const Line<const T> y = tile.Row<const T>(staged), v = tile.Row<const T>(staged_v);
    const Line<T> x_bar = tile.Row(staged_v);
    const Line<T> edges{tile.Row(staged).data + 1, 1};
    PullBackLine(y, p.Lam(line), v, n, x_bar, per_edge ? edges : p.LamBar(line));
  }
  __syncthreads();
  tile.ForEach([&](int64_t at, int slot) { p.x_bar[at] = staged_v[slot]; });
  if (!per_edge) return;
  tile.ForEach(int(n) - 1, [&](int64_t at, int slot) { p.lam_bar[at] = staged[slot + 1]; });
}

}  // namespace

template <typename T>
Status PullBack(cudaStream_t stream, const PullBackOperands<T>& p) {
  const size_t sample_bytes = 2 * sizeof(T);
  const LineKernel kernel = ChoosePullBack(p.lines, sample_bytes);
  if constexpr (sizeof(T) == sizeof(float)) {
    if (SolvedInStep(kernel, p.lines, p.weights)) return PullBackInStep(stream, p);
    if (SolvedByWarps(p.lines, p.weights)) return PullBackByWarps(stream, p);
  }
  switch (kernel) {
    case LineKernel::kThreadPerLine:
      return Launch("PullBackLines", PullBackLines<T>, LineGrid(p.lines, stream), p);
    case LineKernel::kStagedLines:
      return Launch("PullBackTile", PullBackTile<T>, TileGrid(p.lines, sample_bytes, stream), p,
                    int(LinesPerTile(p.lines)));
    case LineKernel::kBlockPerLine:
      return PullBackByBlocks(stream, p);
    case LineKernel::kGrid:
      return PullBackByGrid(stream, p);
  }
  return {};
}

template <typename S>
Status PullBackInHalf(cudaStream_t stream, const PullBackOperands<float, S>& p) {
  const LineKernel kernel = ChoosePullBack(p.lines, 2 * sizeof(float));
  return SolvedInStep(kernel, p.lines, p.weights) ? PullBackInStep(stream, p)
                                                  : PullBackByWarps(stream, p);
}

template Status PullBackInHalf(cudaStream_t, const PullBackOperands<float, __half>&);
template Status PullBackInHalf(cudaStream_t, const PullBackOperands<float, __nv_bfloat16>&);

template Status PullBack(cudaStream_t, const PullBackOperands<float>&);
template Status PullBack(cudaStream_t, const PullBackOperands<double>&);

}  // namespace jaxtv::cuda
