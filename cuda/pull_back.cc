// SPDX-License-Identifier: MIT
// CUDA handler of the derivative of the TV prox of every line along an axis: the operands and the
// attribute of cpu/pull_back.cc, and work space for very long lines as a last result. Cotangents of
// short lines may be of a half type.
#include "cuda/lines/pull_back.h"

#include <type_traits>

#include "cuda/common/call.h"
#include "cuda/dispatch.h"
#include "cuda/lines/kernel_choice.h"
#include "cuda/lines/work_space.h"
#include "ffi/handlers.h"
#include "ffi/operands.h"

namespace jaxtv {
namespace {

using cuda::CallScope;
using cuda::PullBackOperands;

ffi::Error PullBack(cudaStream_t stream, ffi::AnyBuffer y, ffi::AnyBuffer lam, ffi::AnyBuffer v,
                    ffi::Result<ffi::AnyBuffer> x_bar, ffi::Result<ffi::AnyBuffer> lam_bar,
                    ffi::Result<ffi::AnyBuffer> scratch, int64_t axis) try {
  const auto layout = LayoutOfPullBack(y, lam, v, *x_bar, *lam_bar, axis, true);
  if (layout.has_error()) return layout.error();
  const int64_t bytes = cuda::PullBackScratchBytes(layout->lines.length) * layout->lines.count();
  if (auto error = cuda::CheckWorkSpace(*scratch, bytes); error.failure()) return error;
  if (layout->lines.count() == 0) return ffi::Error::Success();
  CallScope scope;
  scope.Input(y, "y");
  scope.Input(lam, "lam");
  scope.Input(v, "v");
  scope.Output(*x_bar, "x_bar");
  scope.Output(*lam_bar, "lam_bar");
  scope.Output(*scratch, "scratch");
  return DispatchStored(v.element_type(), [&](auto zero, auto stored) {
    using T = decltype(zero);
    using S = decltype(stored);
    const PullBackOperands<T, S> operands = {layout->lines,
                                             layout->weights,
                                             lam_bar->dimensions()[axis],
                                             static_cast<const T*>(y.untyped_data()),
                                             static_cast<const T*>(lam.untyped_data()),
                                             static_cast<const S*>(v.untyped_data()),
                                             static_cast<S*>(x_bar->untyped_data()),
                                             static_cast<T*>(lam_bar->untyped_data()),
                                             scratch->untyped_data()};
    if constexpr (std::is_same_v<S, T>) {
      return cuda::ToError(cuda::PullBack(stream, operands));
    } else {
      if (!cuda::SolvedInHalf(layout->lines, layout->weights)) return RefuseHalf();
      return cuda::ToError(cuda::PullBackInHalf(stream, operands));
    }
  });
} catch (const std::exception& e) {
  return Caught(e);
}

// Nothing is allocated and nothing waits, so that XLA may record the launches in a CUDA graph.
XLA_FFI_DEFINE_HANDLER(kPullBack, PullBack,
                       ffi::Ffi::Bind()
                           .Ctx<cuda::Stream>()
                           .Arg<ffi::AnyBuffer>()  // y
                           .Arg<ffi::AnyBuffer>()  // lam
                           .Arg<ffi::AnyBuffer>()  // v
                           .Ret<ffi::AnyBuffer>()  // x_bar
                           .Ret<ffi::AnyBuffer>()  // lam_bar
                           .Ret<ffi::AnyBuffer>()  // scratch
                           .Attr<int64_t>("axis"),
                       {ffi::Traits::kCmdBufferCompatible});

}  // namespace

Handlers PullBackHandlers() { return {{"jaxtv_pull_back", kPullBack}}; }

}  // namespace jaxtv
