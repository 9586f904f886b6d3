// SPDX-License-Identifier: MIT
// Numbers in memory: of the types that are computed in, and of half types, which a kernel widens to
// float as it reads them and rounds to nearest as it writes them.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

namespace jaxtv::cuda {

__device__ inline float Widened(float value) { return value; }
__device__ inline double Widened(double value) { return value; }
__device__ inline float Widened(__half value) { return __half2float(value); }
__device__ inline float Widened(__nv_bfloat16 value) { return __bfloat162float(value); }

__device__ inline void Store(float value, float* place) { *place = value; }
__device__ inline void Store(double value, double* place) { *place = value; }
__device__ inline void Store(float value, __half* place) { *place = __float2half_rn(value); }
__device__ inline void Store(float value, __nv_bfloat16* place) {
  *place = __float2bfloat16_rn(value);
}

// Four neighbours, the first of which is aligned to all four.
template <typename S>
struct alignas(4 * sizeof(S)) FourStored {
  S value[4];
};

template <typename S>
__device__ FourStored<S> LoadFour(const S* place) {
  return *reinterpret_cast<const FourStored<S>*>(place);
}

template <typename S>
__device__ void StoreFour(const float* values, S* place) {
  FourStored<S> four;
  for (int k = 0; k < 4; ++k) Store(values[k], &four.value[k]);
  *reinterpret_cast<FourStored<S>*>(place) = four;
}

}  // namespace jaxtv::cuda
