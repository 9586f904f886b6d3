// SPDX-License-Identifier: MIT
// How much shared memory a block may have.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace jaxtv::cuda {

// That of a block that has not opted in to more, which Launch does.
constexpr int64_t kUnasked = 48 * 1024;

// Shared memory of the current device by an attribute: of a block that opted in, or of a
// multiprocessor; without a device, of every supported one.
inline int64_t SharedMemoryOfDevice(cudaDeviceAttr attribute) {
  constexpr int64_t kEveryDevice = 64 * 1024;
  int device = 0, bytes = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&bytes, attribute, device) != cudaSuccess) {
    return kEveryDevice;
  }
  return bytes;
}

}  // namespace jaxtv::cuda
