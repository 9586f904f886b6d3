// SPDX-License-Identifier: MIT
//
// Stands in for CUDA's header of this name when g++ compiles `.cu` files for the emulator.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CUDA_FP16_H_
#define JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CUDA_FP16_H_

struct __half {
  _Float16 value;
};

inline float __half2float(__half half) { return float(half.value); }
inline __half __float2half_rn(float value) { return {_Float16(value)}; }

#endif  // JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CUDA_FP16_H_
