// SPDX-License-Identifier: MIT
#ifndef JAXTV_TESTS_CUDA_EMULATOR_SAMPLES_LAUNCH_H_
#define JAXTV_TESTS_CUDA_EMULATOR_SAMPLES_LAUNCH_H_

#include <cuda_runtime.h>

// As the project's own kernels do it: one macro for both compilers.
#ifndef JAXTV_CUDA_EMULATOR
#define JAXTV_DYNAMIC_SHARED(type, name)                                \
  extern __shared__ __align__(16) unsigned char jaxtv_dynamic_shared[]; \
  type* const name = reinterpret_cast<type*>(jaxtv_dynamic_shared)
#endif

inline cudaLaunchConfig_t MakeConfig(dim3 grid, dim3 block, size_t dynamic_bytes = 0) {
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = dynamic_bytes;
  return config;
}

#endif  // JAXTV_TESTS_CUDA_EMULATOR_SAMPLES_LAUNCH_H_
