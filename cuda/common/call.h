// SPDX-License-Identifier: MIT
// Common to all FFI handlers: XLA's stream as an argument, checks and errors, and CallScope, which
// declares the buffers of a call to the emulator of the tests. On a device it does nothing.
#pragma once

#include <cuda_runtime_api.h>

#include <optional>
#include <string>

#include "cuda/common/status.h"
#include "xla/ffi/api/ffi.h"

#if defined(JAXTV_CUDA_EMULATOR)
#include "emulator.h"
#endif

namespace jaxtv::cuda {

// Ctx<Stream> gives the cudaStream_t of the call.
struct Stream {};

#if defined(JAXTV_CUDA_EMULATOR)
using emulator::CallScope;
#else
struct CallScope {
  template <typename Buffer>
  void Input(const Buffer&, const char*) {}
  template <typename Buffer>
  void Output(const Buffer&, const char*) {}
};
#endif

inline xla::ffi::Error CheckWorkSpace(xla::ffi::AnyBuffer scratch, int64_t needed) {
  if (int64_t(scratch.size_bytes()) >= needed) return xla::ffi::Error::Success();
  return xla::ffi::Error::InvalidArgument("jaxtv: the work space is too small");
}

inline xla::ffi::Error ToError(const Status& status) {
  if (status.error == cudaSuccess) return xla::ffi::Error::Success();
  return xla::ffi::Error::Internal(std::string("jaxtv: CUDA kernel ") + status.kernel +
                                   " was not launched: " + cudaGetErrorString(status.error));
}

}  // namespace jaxtv::cuda

template <>
struct xla::ffi::CtxDecoding<jaxtv::cuda::Stream> {
  using Type = cudaStream_t;

  static std::optional<Type> Decode([[maybe_unused]] const XLA_FFI_Api* api,
                                    [[maybe_unused]] XLA_FFI_ExecutionContext* ctx,
                                    [[maybe_unused]] DiagnosticEngine& diagnostic) {
#if defined(JAXTV_CUDA_EMULATOR)
    return Type{};  // XLA's CPU platform has none
#else
    return CtxDecoding<PlatformStream<cudaStream_t> >::Decode(api, ctx, diagnostic);
#endif
  }
};
