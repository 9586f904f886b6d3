// SPDX-License-Identifier: MIT
// Launches of kernels, without triple angle brackets, so that a C++ compiler can compile the
// launchers too (tests/cuda_emulator), and with the kernel's name, so that an error can say which
// launch failed.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "cuda/common/shared_memory.h"
#include "cuda/common/status.h"

// `name` points to the dynamic shared memory of the block.
#ifndef JAXTV_CUDA_EMULATOR
#define JAXTV_DYNAMIC_SHARED(type, name)                                \
  extern __shared__ __align__(16) unsigned char jaxtv_dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(jaxtv_dynamic_shared)
#endif

namespace jaxtv::cuda {

struct Grid {
  int64_t blocks;
  int threads;
  size_t shared_bytes;
  cudaStream_t stream;
};

template <typename... Parameters, typename... Arguments>
Status Launch(const char* name, void (*kernel)(Parameters...), const Grid& grid,
              Arguments&&... arguments) {
  const int shared_bytes = int(grid.shared_bytes);
  if (shared_bytes > kUnasked) {  // sets a property of the kernel: nothing is put on the stream
    const cudaError_t error =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
    if (error != cudaSuccess) return {error, name};
  }
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(grid.blocks));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.dynamicSmemBytes = grid.shared_bytes;
  config.stream = grid.stream;
  return {cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...), name};
}

// Launches one after the other, up to the first that fails.
class LaunchSequence {
 public:
  template <typename... Arguments>
  void Add(Arguments&&... arguments) {
    if (status_.error == cudaSuccess) status_ = Launch(std::forward<Arguments>(arguments)...);
  }
  Status status() const { return status_; }

 private:
  Status status_;
};

constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace jaxtv::cuda
