// SPDX-License-Identifier: MIT
// CUDA handler of the TV prox of every line along an axis: the operands and the attribute of
// cpu/tv1d.cc, and work space for long lines as a last result.
#include "cuda/lines/tv1d.h"

#include "cuda/common/call.h"
#include "cuda/lines/work_space.h"
#include "ffi/handlers.h"
#include "ffi/operands.h"

namespace jaxtv {
namespace {

ffi::Error Prox(cudaStream_t stream, ffi::AnyBuffer x, ffi::AnyBuffer lam,
                ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::AnyBuffer> scratch,
                int64_t axis) try {
  const auto layout = ProxLayout::Of(x, lam, *y, axis);
  if (layout.has_error()) return layout.error();
  const Lines& lines = layout->lines;
  const WeightLayout& weights = layout->weights;
  const int64_t needed = lines.count() * cuda::ProxScratchBytes(lines.length);
  if (auto error = cuda::CheckWorkSpace(*scratch, needed); error.failure()) return error;
  if (x.element_count() == 0) return ffi::Error::Success();
  cuda::CallScope scope;
  scope.Input(x, "x");
  scope.Input(lam, "lam");
  scope.Output(*y, "y");
  scope.Output(*scratch, "scratch");
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    return cuda::ToError(
        cuda::ProxTv1d(stream, lines, weights, static_cast<const T*>(x.untyped_data()),
                       static_cast<const T*>(lam.untyped_data()),
                       static_cast<T*>(y->untyped_data()), scratch->untyped_data()));
  });
} catch (const std::exception& e) {
  return Caught(e);
}

// Nothing is allocated and nothing waits, so that XLA may record the launches in a CUDA graph.
XLA_FFI_DEFINE_HANDLER(kProxTv1d, Prox,
                       ffi::Ffi::Bind()
                           .Ctx<cuda::Stream>()
                           .Arg<ffi::AnyBuffer>()  // x
                           .Arg<ffi::AnyBuffer>()  // lam
                           .Ret<ffi::AnyBuffer>()  // y
                           .Ret<ffi::AnyBuffer>()  // scratch
                           .Attr<int64_t>("axis"),
                       {ffi::Traits::kCmdBufferCompatible});

}  // namespace

Handlers Tv1dHandlers() { return {{"jaxtv_prox_tv1d", kProxTv1d}}; }

}  // namespace jaxtv
