// SPDX-License-Identifier: MIT
// From the type of a buffer to the types that its numbers are computed in and stored in.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <string>

#include "cuda/lines/kernel_choice.h"
#include "ffi/operands.h"

namespace jaxtv {

// Calls run(T{}, S{}) with the types that numbers of this type are computed in and stored in.
template <typename Run>
ffi::Error DispatchStored(ffi::DataType type, const Run& run) {
  if (type == ffi::F16) return run(float{}, __half{});
  if (type == ffi::BF16) return run(float{}, __nv_bfloat16{});
  return DispatchFloat(type, [&](auto zero) { return run(zero, zero); });
}

// Of lines that are not SolvedInHalf.
inline ffi::Error RefuseHalf() {
  return ffi::Error::InvalidArgument("jaxtv: half types are for lines of at most " +
                                     std::to_string(cuda::kHalfLength) +
                                     " samples with one weight");
}

}  // namespace jaxtv
