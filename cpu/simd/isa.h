// SPDX-License-Identifier: MIT
// The instruction set whose kernels run: the best one of this processor, or the one that the
// environment variable JAXTV_CPU_ISA names, if the processor has it: scalar, portable, avx2,
// avx512.
#pragma once

#include <cstdlib>
#include <string_view>

namespace jaxtv {

enum class Isa { kScalar, kPortable, kAvx2, kAvx512 };

inline Isa FindIsa() {
#if defined(JAXTV_LANES)
  const char* variable = std::getenv("JAXTV_CPU_ISA");
  const std::string_view wanted = variable ? variable : "";
  if (wanted == "scalar") return Isa::kScalar;
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (has_avx512 && wanted != "avx2" && wanted != "portable") return Isa::kAvx512;
  if (__builtin_cpu_supports("avx2") && wanted != "portable") return Isa::kAvx2;
#endif
  return Isa::kPortable;
#else
  return Isa::kScalar;
#endif
}

// Of a set of kernels, those for one type.
template <typename T, typename Set>
const auto& KernelsFor(const Set& set) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return set.f32;
  } else {
    return set.f64;
  }
}

}  // namespace jaxtv
