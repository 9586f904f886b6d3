// SPDX-License-Identifier: MIT
// Stretches of a line, and sums over its runs, which may go on from one stretch to the next.
#pragma once

#include <cstdint>

#include "cuda/common/wide_sum.h"

namespace jaxtv::cuda {
namespace {

struct Stretch {
  int64_t begin, end;

  template <int kThreads>
  __device__ int64_t Tiles() const {
    return (end - begin + kThreads - 1) / kThreads;
  }
};

// The operator of sums over runs, from right to left: the sum since sample `end`, the last one of a
// run; -1 as long as no run has ended.
template <typename T>
struct RunSumSince {
  WideSum<T> sum;
  long long end;

  __device__ RunSumSince Then(const RunSumSince& next) const {
    return next.end >= 0 ? next : RunSumSince{sum + next.sum, end};
  }

  template <typename F>
  __device__ RunSumSince Each(const F& f) const {
    return {sum.Each(f), f(end)};
  }
};

// A run that starts in a stretch and goes on behind it: its sum up to the end of the stretch.
// `start` is -1 if there is none.
template <typename T>
struct OpenRun {
  WideSum<T> sum;
  long long start;

  // Its mean, `behind` being the sum from its end to the end of the stretch.
  __device__ double Mean(const RunSumSince<T>& behind) const {
    return (sum + behind.sum).Over(behind.end - start + 1);
  }
};

}  // namespace
}  // namespace jaxtv::cuda
