// SPDX-License-Identifier: MIT
//
// Trees of samples, each with its parent, that threads of all blocks read and change.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_SAMPLES_TREES_H_
#define JAXTV_TESTS_CUDA_EMULATOR_SAMPLES_TREES_H_

#include <cuda/atomic>

namespace {

using Shared = cuda::atomic_ref<int, cuda::thread_scope_device>;

__device__ int Load(int& shared) { return Shared(shared).load(cuda::memory_order_relaxed); }
__device__ void Store(int& shared, int value) {
  Shared(shared).store(value, cuda::memory_order_relaxed);
}

__device__ int Root(int* parent, int at) {
  for (int above; (above = Load(parent[at])) != at;) at = above;
  return at;
}

// The same, and every other sample on the way gets its grandparent as parent.
__device__ int RootByHalving(int* parent, int at) {
  int above = Load(parent[at]);
  while (above != at) {
    const int next = Load(parent[above]);
    if (next != above) Store(parent[at], next);
    at = above;
    above = next;
  }
  return at;
}

}  // namespace

#endif  // JAXTV_TESTS_CUDA_EMULATOR_SAMPLES_TREES_H_
