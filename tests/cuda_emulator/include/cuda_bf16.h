// SPDX-License-Identifier: MIT
//
// Stands in for CUDA's header of this name when g++ compiles `.cu` files for the emulator.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CUDA_BF16_H_
#define JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CUDA_BF16_H_

#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
  uint16_t bits;
};

inline float __bfloat162float(__nv_bfloat16 half) {
  const uint32_t bits = uint32_t(half.bits) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// To nearest, ties to even: half of the last place that is kept, less one if that is 0.
inline __nv_bfloat16 __float2bfloat16_rn(float value) {
  if (value != value) return {0x7fff};
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return {uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

#endif  // JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CUDA_BF16_H_
