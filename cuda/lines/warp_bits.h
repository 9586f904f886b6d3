// SPDX-License-Identifier: MIT
// Integers with a bit for each of the samples of a lane.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/common/shared_address.h"

namespace jaxtv::cuda {
namespace {

__device__ inline int HighestBit(uint32_t bits) { return 31 - __clz(int(bits)); }
__device__ inline int HighestBit(uint64_t bits) {
  return 63 - __clzll(static_cast<long long>(bits));
}
__device__ inline int LowestBit(uint32_t bits) { return __ffs(int(bits)) - 1; }
__device__ inline int LowestBit(uint64_t bits) { return __ffsll(static_cast<long long>(bits)) - 1; }

// Bits of samples to be tested one by one. Each pass makes its own, lest the compiler keeps the
// results from one pass to the next, for which there are too few predicate registers.
template <typename Shape>
struct BitTests {
  static constexpr int kSamples = Shape::kSamples;
  uint32_t words[(kSamples + 31) / 32];

  __device__ explicit BitTests(typename Shape::Bits bits) {
    constexpr int kWords = sizeof(words) / sizeof(words[0]);
#pragma unroll
    for (int i = 0; i < kWords; ++i) words[i] = uint32_t(Kept(int(bits >> 32 * (kWords - 1 - i))));
  }
  __device__ bool operator[](int k) const {
    return (words[k / 32] & 1u << (kSamples < 32 ? kSamples - 1 - k : 31 - k % 32)) != 0;
  }
};

}  // namespace
}  // namespace jaxtv::cuda
