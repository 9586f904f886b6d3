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
  if (set == nullptr || KernelsFor<T>(*set).lanes < kMinLanes) return nullptr;
  return &KernelsFor<T>(*set);
}

// The kernels for lines whose jumps are nearly known. There is no scalar code that gives the same
// results where two jumps tie but for rounding, so that some are used wherever they are compiled.
template <typename T>
const LaneKernels<T>* NearLanes() {
#if defined(JAXTV_LANES)
  static const LaneSet* const set = LaneSetOfThisProcessor();
  return &KernelsFor<T>(set ? *set : portable::Kernels());
#else
  return nullptr;
#endif
}

}  // namespace jaxtv
