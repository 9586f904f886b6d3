// SPDX-License-Identifier: MIT
// Passes over all samples of an array, of which a thread takes one.
#pragma once

#include <cstdint>

#include "cuda/common/launch.h"

namespace jaxtv::cuda {
namespace {

constexpr int kSampleThreads = 256;

inline Grid SampleGrid(int64_t samples, cudaStream_t stream) {
  return {CeilDiv(samples, kSampleThreads), kSampleThreads, 0, stream};
}

__device__ inline int64_t SampleOfThread() {
  return int64_t(blockIdx.x) * kSampleThreads + threadIdx.x;
}

}  // namespace
}  // namespace jaxtv::cuda
