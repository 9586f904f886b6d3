// SPDX-License-Identifier: MIT
#pragma once

#include <cuda_runtime_api.h>

namespace jaxtv::cuda {

// What came of a launch, and of which kernel.
struct Status {
  cudaError_t error = cudaSuccess;
  const char* kernel = "";
};

}  // namespace jaxtv::cuda
