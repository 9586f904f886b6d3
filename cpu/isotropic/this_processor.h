// SPDX-License-Identifier: MIT
// The kernels of the best instruction set that this processor has; all give the same bits.
#pragma once

#include "cpu/isotropic/fused_kernels.h"
#include "cpu/isotropic/interior_kernels.h"
#include "cpu/isotropic/profile_kernels.h"
#include "cpu/isotropic/row_kernels.h"
#include "cpu/isotropic/test_kernels.h"
#include "cpu/simd/isa.h"

namespace jaxtv {

struct IsotropicKernels {
  const RowSet& rows;
  const FusedSet& fused;
  const TestSet& tests;
  const InteriorKernels& interior;
  const ProfileKernels& profile;
};

inline IsotropicKernels FindIsotropicKernels() {
#define JAXTV_KERNELS_OF(isa)                                                  \
  {                                                                            \
    isa::Rows(), isa::Fused(), isa::Tests(), isa::Interiors(), isa::Profiles() \
  }
#if defined(JAXTV_LANES) && defined(__x86_64__)
  switch (FindIsa()) {
    case Isa::kAvx512:
      return JAXTV_KERNELS_OF(avx512);
    case Isa::kAvx2:
      return JAXTV_KERNELS_OF(avx2);
    default:
      break;
  }
#endif
  return JAXTV_KERNELS_OF(portable);
#undef JAXTV_KERNELS_OF
}

inline const IsotropicKernels& KernelsOfThisProcessor() {
  static const IsotropicKernels kernels = FindIsotropicKernels();
  return kernels;
}

template <typename T>
const RowKernels<T>& Rows() {
  return KernelsFor<T>(KernelsOfThisProcessor().rows);
}

template <typename T>
const FusedKernels<T>& Fused() {
  return KernelsFor<T>(KernelsOfThisProcessor().fused);
}

template <typename T>
const TestKernels<T>& Tests() {
  return KernelsFor<T>(KernelsOfThisProcessor().tests);
}

}  // namespace jaxtv
