// SPDX-License-Identifier: MIT
// The kernels of the best instruction set that this processor has; all give the same bits.
#pragma once

#include "cpu/isotropic/interior_kernels.h"
#include "cpu/isotropic/profile_kernels.h"
#include "cpu/isotropic/row_kernels.h"
#include "cpu/simd/isa.h"

namespace jaxtv {

struct IsotropicKernels {
  const RowSet& rows;
  const InteriorKernels& interior;
  const ProfileKernels& profile;
};

inline IsotropicKernels FindIsotropicKernels() {
#if defined(JAXTV_LANES) && defined(__x86_64__)
  switch (FindIsa()) {
    case Isa::kAvx512:
      return {avx512::Rows(), avx512::Interiors(), avx512::Profiles()};
    case Isa::kAvx2:
      return {avx2::Rows(), avx2::Interiors(), avx2::Profiles()};
    default:
      break;
  }
#endif
  return {portable::Rows(), portable::Interiors(), portable::Profiles()};
}

inline const IsotropicKernels& KernelsOfThisProcessor() {
  static const IsotropicKernels kernels = FindIsotropicKernels();
  return kernels;
}

template <typename T>
const RowKernels<T>& Rows() {
  const RowSet& set = KernelsOfThisProcessor().rows;
  if constexpr (sizeof(T) == sizeof(float)) {
    return set.f32;
  } else {
    return set.f64;
  }
}

}  // namespace jaxtv
