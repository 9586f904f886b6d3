// SPDX-License-Identifier: MIT
// One block for each line, in two passes over all of it (pull_back_scans.h).
#include "cuda/common/launch.h"
#include "cuda/lines/kernel_choice.h"
#include "cuda/lines/pull_back.h"
#include "cuda/lines/pull_back_scans.h"

namespace jaxtv::cuda {
namespace {

template <typename T, int kThreads>
__global__ void __launch_bounds__(kThreads, kLargeBlock / kThreads)
    PullBackBlock(const __grid_constant__ PullBackOperands<T> p) {
  const PulledLine<T, kThreads> line(p, blockIdx.x);
  const Stretch whole{0, line.n};
  RunSumSince<T> carry{{}, -1};
  line.SumRuns(whole, &carry, [&](int64_t k, const RunSumSince<T>& run) {
    line.x_bar[k] = T(run.sum.Over(run.end - k + 1));
  });
  const Total<T> mine = line.FillRuns(whole, {T(0), 0});
  if (line.per_edge) return;
  Total<T> slopes{};
  ExclusiveScan<kThreads, Direction::kForward>(mine, &slopes);
  if (threadIdx.x == 0) line.lam_bar[0] = T(slopes.sum.Over(1));
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
