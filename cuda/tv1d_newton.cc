// SPDX-License-Identifier: MIT
// CUDA handler of the TV prox of every line along an axis by projected Newton steps: the operands
// and the attributes of cpu/tv1d_newton.cc, and work space as a last result.
#include "cuda/lines/tv1d_newton.h"

#include "cuda/common/call.h"
#include "ffi/handlers.h"
#include "ffi/operands.h"

namespace jaxtv {
namespace {

ffi::Error ProxNewton(cudaStream_t stream, ffi::AnyBuffer x, ffi::AnyBuffer lam,
                      ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::Buffer<ffi::S32>> steps,
                      ffi::Result<ffi::AnyBuffer> scratch, int64_t axis, int64_t max_steps) try {
  const auto layout = ProxLayout::Of(x, lam, *y, axis);
  if (layout.has_error()) return layout.error();
  const Lines& lines = layout->lines;
  if (auto error = CheckNewton(lines, steps->element_count(), max_steps); error.failure()) {
    return error;
  }
  const int64_t needed = lines.count() * cuda::NewtonScratchBytes(lines.length);
  if (auto error = cuda::CheckWorkSpace(*scratch, needed); error.failure()) return error;
  if (lines.count() == 0) return ffi::Error::Success();
  cuda::CallScope scope;
  scope.Input(x, "x");
  scope.Input(lam, "lam");
  scope.Output(*y, "y");
  scope.Output(*steps, "steps");
  scope.Output(*scratch, "scratch");
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    return cuda::ToError(cuda::ProxTv1dNewton(
        stream, lines, layout->weights, max_steps, static_cast<const T*>(x.untyped_data()),
        static_cast<const T*>(lam.untyped_data()), static_cast<T*>(y->untyped_data()),
        steps->typed_data(), static_cast<double*>(scratch->untyped_data())));
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kProxTv1dNewton, ProxNewton,
                       ffi::Ffi::Bind()
                           .Ctx<cuda::Stream>()
                           .Arg<ffi::AnyBuffer>()         // x
                           .Arg<ffi::AnyBuffer>()         // lam
                           .Ret<ffi::AnyBuffer>()         // y
                           .Ret<ffi::Buffer<ffi::S32>>()  // steps of each line
                           .Ret<ffi::AnyBuffer>()         // scratch
                           .Attr<int64_t>("axis")
                           .Attr<int64_t>("max_steps"),
                       {ffi::Traits::kCmdBufferCompatible});

}  // namespace

Handlers Tv1dNewtonHandlers() { return {{"jaxtv_prox_tv1d_newton", kProxTv1dNewton}}; }

}  // namespace jaxtv
