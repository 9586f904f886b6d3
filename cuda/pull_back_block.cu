// SPDX-License-Identifier: MIT
// One block for each line: sums over the runs as a scan from right to left, then the means and the
// differences between them as a scan from left to right, over tiles of one sample a thread.
#include "core/pull_back.h"
#include "cuda/launch.h"
#include "cuda/pull_back.h"
#include "cuda/regime.h"
#include "cuda/scan.h"
#include "cuda/wide_sum.h"

namespace jaxtv::cuda {
namespace {

template <typename T, int kThreads>
__global__ void __launch_bounds__(kThreads, kLargeBlock / kThreads)
    PullBackBlock(const __grid_constant__ PullBackOperands<T> p) {
  const int64_t n = p.lines.length, tiles = (n + kThreads - 1) / kThreads, line = blockIdx.x;
  const Line<const T> y = p.Y(line), v = p.V(line);
  const Line<T> x_bar = p.XBar(line);
  const bool weighted = p.lam != nullptr, per_edge = weighted && p.weights.edge_stride != 0;
  const Line<const T> lam = weighted ? p.Lam(line) : Line<const T>{nullptr, 0};
  const Line<T> lam_bar = weighted ? p.LamBar(line) : Line<T>{nullptr, 0};
  const bool untied = weighted && !per_edge && lam[0] == T(0);
  const auto starts = [&](int64_t k) {
    return k == 0 || k == n || !(y[k] == y[k - 1]) || (per_edge && lam[k - 1] == T(0));
  };

  RunSumSince<T> carry{{}, -1};
  for (int64_t tile = tiles - 1; tile >= 0; --tile) {
    const int64_t k = tile * kThreads + threadIdx.x;
    RunSumSince<T> sum{{}, -1};
    if (k < n) sum.sum = Widen<T>(double(y[k] == y[k] ? T(v[k]) : NoDerivative(v[k])));
    if (k < n && starts(k + 1)) sum.end = k;
    sum = ExclusiveScan<kThreads, Direction::kBackward>(sum, &carry).Then(sum);
    if (k < n && starts(k)) x_bar[k] = T(sum.sum.Over(sum.end - k + 1));
  }
  Latest<T> latest{T(0), 0};
  Total<T> total{};
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t k = tile * kThreads + threadIdx.x;
    const bool first = k < n && starts(k);
    const Latest<T> mine{first ? x_bar[k] : T(0), first};
    const Latest<T> left = ExclusiveScan<kThreads, Direction::kForward>(mine, &latest);
    if (k >= n) continue;
    const T mean = left.Then(mine).value;
    if (k > 0) {
      const T slope = EdgeSlope(T(y[k - 1]), left.value, T(y[k]), mean);
      total.sum = total.sum + Widen<T>(double(slope));
      if (per_edge) lam_bar[k - 1] = slope;
    }
    x_bar[k] = untied && y[k] == y[k] ? T(v[k]) : mean;
  }
  if (!weighted || per_edge) return;
  Total<T> sum{};
  ExclusiveScan<kThreads, Direction::kForward>(total, &sum);
  if (threadIdx.x == 0) lam_bar[0] = T(sum.sum.Over(1));
}

}  // namespace

template <typename T>
Status PullBackByBlocks(cudaStream_t stream, const PullBackOperands<T>& p) {
  const bool small = p.lines.length <= kSmallBlockLength;
  const int threads = small ? kSmallBlock : kLargeBlock;
  return Launch("PullBackBlock",
                small ? PullBackBlock<T, kSmallBlock> : PullBackBlock<T, kLargeBlock>,
                Grid{p.lines.count(), threads, 0, stream}, p);
}

template Status PullBackByBlocks(cudaStream_t, const PullBackOperands<float>&);
template Status PullBackByBlocks(cudaStream_t, const PullBackOperands<double>&);

}  // namespace jaxtv::cuda
