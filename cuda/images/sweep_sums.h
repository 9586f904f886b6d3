// SPDX-License-Identifier: MIT
#pragma once

#include <cuda_runtime.h>

#include "cuda/common/scan.h"
#include "cuda/images/swept_axis.h"

namespace jaxtv::cuda {

// The sums of the terms of a sweep (swept_axis.h), over a line or an image.
struct SweepSums {
  double against, apart, energy;

  __device__ SweepSums Then(const SweepSums& next) const {
    return {against + next.against, apart + next.apart, energy + next.energy};
  }

  template <typename T>
  __device__ SweepSums And(const SweepTerms<T>& terms) const {
    return Then({double(terms.against), double(terms.apart), double(terms.energy)});
  }

  template <typename F>
  __device__ SweepSums Each(const F& f) const {
    return {f(against), f(apart), f(energy)};
  }
};

namespace {  // as in scan.h

// `before` and the sums of all threads of a block, for its first thread.
template <int kThreads>
__device__ SweepSums SumOverBlock(const SweepSums& before, const SweepSums& mine) {
  __shared__ SweepSums of_warps[kThreads / 32];
  const SweepSums of_lanes = InclusiveWarpScan<Direction::kForward>(mine);
  if (threadIdx.x % 32 == 31) of_warps[threadIdx.x / 32] = of_lanes;
  __syncthreads();
  SweepSums total = before;
  for (const SweepSums& of_warp : of_warps) total = total.Then(of_warp);
  return total;
}

}  // namespace
}  // namespace jaxtv::cuda
