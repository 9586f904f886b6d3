// SPDX-License-Identifier: MIT
// The lock-step kernels of the best instruction set that this processor has.
#pragma once

#include "cpu/lockstep/kernels.h"
#include "cpu/simd/isa.h"

namespace jaxtv {

// Null where only scalar code runs.
inline const LaneSet* LaneSetOfThisProcessor() {
#if defined(JAXTV_LANES)
  switch (FindIsa()) {
    case Isa::kPortable:
      return &portable::Kernels();
#if defined(__x86_64__)
    case Isa::kAvx2:
      return &avx2::Kernels();
    case Isa::kAvx512:
      return &avx512::Kernels();
#endif
    default:
      break;
  }
#endif
  return nullptr;
}

// The kernels for samples of type T; null where scalar code is at least as fast.
template <typename T>
const LaneKernels<T>* Lanes() {
  constexpr int64_t kMinLanes = 4;  // two are slower than scalar code
  static const LaneSet* const set = LaneSetOfThisProcessor();
  if (set == nullptr) return nullptr;
  const LaneKernels<T>* lanes;
  if constexpr (sizeof(T) == sizeof(float)) {
    lanes = &set->f32;
  } else {
    lanes = &set->f64;
  }
  return lanes->lanes < kMinLanes ? nullptr : lanes;
}

}  // namespace jaxtv
