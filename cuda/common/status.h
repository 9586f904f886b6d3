// SPDX-License-Identifier: MIT
#pragma once

#include <cuda_runtime_api.h>

namespace jaxtv::cuda {

// The error of a launch, if any, and the kernel launched.
struct Status {
  cudaError_t error = cudaSuccess;
  const char* kernel = "";
};

}  // namespace jaxtv::cuda
