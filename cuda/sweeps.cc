// SPDX-License-Identifier: MIT
// CUDA handlers of a fixed number of sweeps over two axes of images and of their reverse: operands
// and attributes as in cpu/sweeps.cc. Only for images that FitsShared.
#include "cuda/images/sweeps.h"

#include "cuda/common/call.h"
#include "cuda/dispatch.h"
#include "cuda/sweep_images.h"
#include "ffi/handlers.h"
#include "ffi/sweeps.h"

namespace jaxtv {
namespace {

using cuda::CallScope;
using cuda::SweepImages;

ffi::ErrorOr<SweepImages> ImagesOnChip(ffi::AnyBuffer x, ffi::Span<const int64_t> axes,
                                       const SweepShape& shape) {
  const auto images = SweepImagesOf(axes, shape);
  if (images.has_error()) return images;
  const int64_t bytes = x.element_type() == ffi::F64 ? 8 : 4;
  if (cuda::FitsShared(images->height, images->width, bytes)) return images;
  return ffi::Unexpected(
      RefuseSweeps("images of shape " + ToString(x.dimensions()) +
                   " need more shared memory than this device has: compile the program on this "
                   "device"));
}

ffi::Error Sweeps(cudaStream_t stream, ffi::AnyBuffer x, ffi::RemainingArgs lams,
                  ffi::Result<ffi::AnyBuffer> y, ffi::RemainingRets kept,
                  ffi::Span<const int64_t> axes, int64_t num_sweeps, bool keep_bits) try {
  const auto call = SweepCall::Of(x, lams, y, kept, axes, num_sweeps, keep_bits);
  if (call.has_error()) return call.error();
  if (x.element_count() == 0) return ffi::Error::Success();
  const auto images = ImagesOnChip(x, axes, call->shape);
  if (images.has_error()) return images.error();
  const SweepOrder order(axes);
  const auto lam = [&](int a) { return *lams.get<ffi::AnyBuffer>(a); };
  CallScope scope;
  DeclareSweeps(scope, x, lams, y, kept, keep_bits);
  return DispatchStored(x.element_type(), [&](auto zero, auto stored) {
    using T = decltype(zero);
    using S = decltype(stored);
    const auto data = [&](int a) { return static_cast<const T*>(lam(a).untyped_data()); };
    return cuda::ToError(cuda::Sweeps<T, S>(
        stream, *images, {call->weights[order.height], call->weights[order.width]},
        static_cast<const S*>(x.untyped_data()), {data(order.height), data(order.width)},
        static_cast<S*>(y->untyped_data()), call->bits));
  });
} catch (const std::exception& e) {
  return Caught(e);
}

ffi::Error Reverse(cudaStream_t stream, ffi::AnyBuffer y_bar, ffi::AnyBuffer bits,
                   ffi::Result<ffi::AnyBuffer> x_bar, ffi::RemainingRets lam_bars,
                   ffi::Span<const int64_t> axes, int64_t num_sweeps,
                   ffi::Span<const int64_t> edges) try {
  const auto call = ReverseCall::Of(y_bar, bits, x_bar, lam_bars, axes, num_sweeps, edges);
  if (call.has_error()) return call.error();
  if (y_bar.element_count() == 0) return ffi::Error::Success();
  const auto images = ImagesOnChip(y_bar, axes, call->shape);
  if (images.has_error()) return images.error();
  const SweepOrder order(axes);
  const auto lam_bar = [&](int a) {
    auto result = lam_bars.get<ffi::AnyBuffer>(a);
    return **result;
  };
  CallScope scope;
  DeclareReverse(scope, y_bar, bits, x_bar, lam_bars);
  return DispatchStored(y_bar.element_type(), [&](auto zero, auto stored) {
    using T = decltype(zero);
    using S = decltype(stored);
    const auto data = [&](int a) { return static_cast<T*>(lam_bar(a).untyped_data()); };
    return cuda::ToError(cuda::SweepsReverse<T, S>(
        stream, *images, {call->per_edge[order.height], call->per_edge[order.width]},
        static_cast<const S*>(y_bar.untyped_data()),
        static_cast<const uint8_t*>(bits.untyped_data()), static_cast<S*>(x_bar->untyped_data()),
        {data(order.height), data(order.width)}));
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kSweeps, Sweeps, SweepsBinding<cuda::Stream>(),
                       {ffi::Traits::kCmdBufferCompatible});
XLA_FFI_DEFINE_HANDLER(kReverse, Reverse, ReverseBinding<cuda::Stream>(),
                       {ffi::Traits::kCmdBufferCompatible});

}  // namespace

Handlers SweepsHandlers() {
  return {{"jaxtv_sweeps", kSweeps}, {"jaxtv_sweeps_reverse", kReverse}};
}

}  // namespace jaxtv
