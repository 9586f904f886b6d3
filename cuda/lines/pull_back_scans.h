// SPDX-License-Identifier: MIT
// The derivative of the prox by scans over tiles of one sample a thread: sums over
// the runs from right to left, then the means and the differences between them from left to right.
// A pass takes a stretch of the line: all of it (pull_back_block.cu), or a chunk
// (pull_back_grid.cu).
#pragma once

#include "core/pull_back.h"
#include "cuda/common/scan.h"
#include "cuda/lines/pull_back.h"
#include "cuda/lines/run_sums.h"

namespace jaxtv::cuda {
namespace {

template <typename T, int kThreads>
struct PulledLine {
  Line<const T> y, v, lam;
  Line<T> x_bar, lam_bar;
  int64_t n;
  bool per_edge;  // whether each edge has its own weight

  __device__ PulledLine(const PullBackOperands<T>& p, int64_t line)
      : y(p.Y(line)),
        v(p.V(line)),
        lam(p.Lam(line)),
        x_bar(p.XBar(line)),
        lam_bar(p.LamBar(line)),
        n(p.lines.length),
        per_edge(p.weights.edge_stride != 0) {}

  __device__ bool StartsRun(int64_t k) const {
    return k == 0 || k == n || !(y[k] == y[k - 1]) || (per_edge && lam[k - 1] == T(0));
  }

  // Calls visit(k, sum) for each run of the stretch that starts at k, with its sum from k on.
  template <typename Visit>
  __device__ void SumRuns(Stretch s, RunSumSince<T>* carry, const Visit& visit) const {
    for (int64_t tile = s.Tiles<kThreads>() - 1; tile >= 0; --tile) {
      const int64_t k = s.begin + tile * kThreads + threadIdx.x;
      const bool inside = k < s.end;
      RunSumSince<T> sum{{}, -1};
      if (inside) sum.sum = Widen<T>(double(y[k] == y[k] ? T(v[k]) : NoDerivative(v[k])));
      if (inside && StartsRun(k + 1)) sum.end = k;
      sum = ExclusiveScan<kThreads, Direction::kBackward>(sum, carry).Then(sum);
      if (inside && StartsRun(k)) visit(k, sum);
    }
  }

  // From the mean of each run at its first sample, and of the run before the stretch in `latest`,
  // writes x_bar and the cotangents of the edges before the samples. Returns their sum over the
  // samples of this thread.
  __device__ Total<T> FillRuns(Stretch s, Latest<T> latest) const {
    const bool untied = !per_edge && lam[0] == T(0);
    Total<T> total{};
    for (int64_t tile = 0; tile < s.Tiles<kThreads>(); ++tile) {
      const int64_t k = s.begin + tile * kThreads + threadIdx.x;
      const bool first = k < s.end && StartsRun(k);
      const Latest<T> mine{first ? x_bar[k] : T(0), first};
      const Latest<T> left = ExclusiveScan<kThreads, Direction::kForward>(mine, &latest);
      if (k >= s.end) continue;
      const T mean = left.Then(mine).value;
      if (k > 0) {
        const T slope = EdgeSlope(T(y[k - 1]), left.value, T(y[k]), mean);
        total.sum = total.sum + Widen<T>(double(slope));
        if (per_edge) lam_bar[k - 1] = slope;
      }
      x_bar[k] = untied && y[k] == y[k] ? T(v[k]) : mean;
    }
    return total;
  }
};

}  // namespace
}  // namespace jaxtv::cuda
