// SPDX-License-Identifier: MIT
// Addresses in the shared memory of a block as numbers of 32 bits, as its loads and stores take
// them. Generic pointers have 64, so that each sum and each comparison of them takes two
// instructions.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace jaxtv::cuda {
namespace {

// Keeps a number in a register: without it nvcc computes an address again wherever it is used, be
// it by a division.
__device__ inline int Kept(int value) {
  asm volatile("" : "+r"(value));
  return value;
}
__device__ inline int64_t Kept(int64_t value) {
  asm volatile("" : "+l"(value));
  return value;
}

struct SharedMemory {
  __device__ static int AddressOf(const void* place) {
    return Kept(int(__cvta_generic_to_shared(place)));
  }
  __device__ float& operator[](int address) const {
    return *static_cast<float*>(__cvta_shared_to_generic(size_t(unsigned(address))));
  }
};

}  // namespace
}  // namespace jaxtv::cuda
