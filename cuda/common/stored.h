// SPDX-License-Identifier: MIT
// Numbers in memory: of the types that are computed in, and of half types, which a kernel widens to
// float as it reads them and rounds to nearest as it writes them.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

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

}  // namespace jaxtv::cuda
