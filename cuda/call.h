// SPDX-License-Identifier: MIT
// What an FFI handler needs of the device: XLA's stream as an argument, and a word about its
// buffers for the emulator of the tests, which checks every access to them.
#pragma once

#include <cuda_runtime_api.h>

#include <optional>
#include <string>

#include "cuda/status.h"
#include "xla/ffi/api/ffi.h"

#if defined(JAXTV_CUDA_EMULATOR)
#include "emulator.h"
#endif

namespace jaxtv::cuda {

struct Stream {};  // Ctx<Stream> gives the cudaStream_t of the call

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
