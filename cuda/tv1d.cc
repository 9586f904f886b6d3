// SPDX-License-Identifier: MIT
// CUDA handlers of the TV prox of every line along an axis: the operands and the attribute of
// cpu/tv1d.cc, and work space for long lines as a last result. Of half types, a second handler also
// gives the result before it is rounded, of which the derivative takes the runs.
#include "cuda/lines/tv1d.h"

#include <string>
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
  CallScope scope;
  scope.Input(x, "x");
  scope.Input(lam, "lam");
  scope.Output(*y, "y");
  scope.Output(*scratch, "scratch");
  return DispatchStored(x.element_type(), [&](auto zero, auto stored) {
    using T = decltype(zero);
    using S = decltype(stored);
    const S* const samples = static_cast<const S*>(x.untyped_data());
    const T* const lambda = static_cast<const T*>(lam.untyped_data());
    S* const result = static_cast<S*>(y->untyped_data());
    if constexpr (std::is_same_v<S, T>) {
      return cuda::ToError(
          cuda::ProxTv1d(stream, lines, weights, samples, lambda, result, scratch->untyped_data()));
    } else {
      if (!cuda::SolvedInHalf(lines, weights)) return RefuseHalf();
      return cuda::ToError(
          cuda::ProxTv1dInHalf(stream, lines, weights, samples, lambda, result, nullptr));
    }
  });
} catch (const std::exception& e) {
  return Caught(e);
}

ffi::Error ProxAndUnrounded(cudaStream_t stream, ffi::AnyBuffer x, ffi::AnyBuffer lam,
                            ffi::Result<ffi::AnyBuffer> y, ffi::ResultBuffer<ffi::F32> unrounded,
                            int64_t axis) try {
  const auto layout = ProxLayout::Of(x, lam, *y, axis);
  if (layout.has_error()) return layout.error();
  const Lines& lines = layout->lines;
  const WeightLayout& weights = layout->weights;
  if (ToString(unrounded->dimensions()) != ToString(x.dimensions())) {
    return ffi::Error::InvalidArgument("jaxtv: the unrounded result must have the shape of x");
  }
  if (!cuda::SolvedInHalf(lines, weights)) return RefuseHalf();
  if (x.element_count() == 0) return ffi::Error::Success();
  CallScope scope;
  scope.Input(x, "x");
  scope.Input(lam, "lam");
  scope.Output(*y, "y");
  scope.Output(*unrounded, "unrounded");
  return DispatchStored(x.element_type(), [&](auto zero, auto stored) {
    using T = decltype(zero);
    using S = decltype(stored);
    if constexpr (std::is_same_v<S, T>) {
      return ffi::Error::InvalidArgument("jaxtv: x must have a half type");
    } else {
      return cuda::ToError(
          cuda::ProxTv1dInHalf(stream, lines, weights, static_cast<const S*>(x.untyped_data()),
                               static_cast<const T*>(lam.untyped_data()),
                               static_cast<S*>(y->untyped_data()), unrounded->typed_data()));
    }
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

XLA_FFI_DEFINE_HANDLER(kProxAndUnrounded, ProxAndUnrounded,
                       ffi::Ffi::Bind()
                           .Ctx<cuda::Stream>()
                           .Arg<ffi::AnyBuffer>()         // x
                           .Arg<ffi::AnyBuffer>()         // lam
                           .Ret<ffi::AnyBuffer>()         // y
                           .Ret<ffi::Buffer<ffi::F32>>()  // y before it is rounded
                           .Attr<int64_t>("axis"),
                       {ffi::Traits::kCmdBufferCompatible});

}  // namespace

Handlers Tv1dHandlers() {
  return {{"jaxtv_prox_tv1d", kProxTv1d}, {"jaxtv_prox_tv1d_unrounded", kProxAndUnrounded}};
}

}  // namespace jaxtv
