// SPDX-License-Identifier: MIT
// CUDA handlers of the sweeps of cuda/sweeps.cc over larger images of float, with one weight for
// each line: those that are SweptByLines. Their last result is work space.
#include "cuda/images/sweeps_by_lines.h"

#include "cuda/common/call.h"
#include "cuda/sweep_images.h"
#include "ffi/handlers.h"
#include "ffi/sweeps.h"

namespace jaxtv {
namespace {

using cuda::CallScope;
using cuda::SweepImages;

constexpr size_t kWorkSpaces = 1;

ffi::ErrorOr<SweepImages> ImagesByLines(ffi::AnyBuffer x, ffi::Span<const int64_t> axes,
                                        const SweepShape& shape) {
  const auto images = SweepImagesOf(axes, shape);
  if (images.has_error()) return images;
  const int64_t bytes = x.element_type() == ffi::F32 ? sizeof(float) : 0;
  if (cuda::SweptByLines(images->height, images->width, bytes)) return images;
  return ffi::Unexpected(RefuseSweeps("images of shape " + ToString(x.dimensions()) +
                                      " are not swept line by line, or not in their type"));
}

ffi::ErrorOr<ffi::AnyBuffer> WorkSpaceOf(ffi::RemainingRets results, int64_t needed) {
  auto found = results.get<ffi::AnyBuffer>(results.size() - kWorkSpaces);
  if (found.has_error()) return ffi::Unexpected(found.error());
  if (auto error = cuda::CheckWorkSpace(**found, needed); error.failure()) {
    return ffi::Unexpected(error);
  }
  return **found;
}

ffi::Error Sweeps(cudaStream_t stream, ffi::AnyBuffer x, ffi::RemainingArgs lams,
                  ffi::Result<ffi::AnyBuffer> y, ffi::RemainingRets kept,
                  ffi::Span<const int64_t> axes, int64_t num_sweeps, bool keep_bits) try {
  const auto call = SweepCall::Of(x, lams, y, kept, axes, num_sweeps, keep_bits, kWorkSpaces);
  if (call.has_error()) return call.error();
  if (x.element_count() == 0) return ffi::Error::Success();
  const auto images = ImagesByLines(x, axes, call->shape);
  if (images.has_error()) return images.error();
  const int64_t count = images->outer * images->between * images->inner;
  auto spoilt = WorkSpaceOf(kept, count * cuda::kSpoiltImageBytes);
  if (spoilt.has_error()) return spoilt.error();
  const SweepOrder order(axes);
  const WeightLayout along[] = {call->weights[order.height], call->weights[order.width]};
  if (along[0].edge_stride != 0 || along[1].edge_stride != 0) {
    return RefuseSweeps("lines of images that are swept line by line have one weight each");
  }
  const auto lam = [&](int a) { return *lams.get<ffi::AnyBuffer>(a); };
  CallScope scope;
  DeclareSweeps(scope, x, lams, y, kept, keep_bits);
  scope.Output(*spoilt, "spoilt");
  const auto data = [&](int a) { return static_cast<const float*>(lam(a).untyped_data()); };
  return cuda::ToError(cuda::SweepsByLines(
      stream, *images, along, static_cast<const float*>(x.untyped_data()),
      {data(order.height), data(order.width)}, static_cast<float*>(y->untyped_data()), call->bits,
      static_cast<int*>(spoilt->untyped_data())));
} catch (const std::exception& e) {
  return Caught(e);
}

ffi::Error Reverse(cudaStream_t stream, ffi::AnyBuffer y_bar, ffi::AnyBuffer bits,
                   ffi::Result<ffi::AnyBuffer> x_bar, ffi::RemainingRets lam_bars,
                   ffi::Span<const int64_t> axes, int64_t num_sweeps,
                   ffi::Span<const int64_t> edges) try {
  const auto call =
      ReverseCall::Of(y_bar, bits, x_bar, lam_bars, axes, num_sweeps, edges, kWorkSpaces);
  if (call.has_error()) return call.error();
  if (y_bar.element_count() == 0) return ffi::Error::Success();
  const auto images = ImagesByLines(y_bar, axes, call->shape);
  if (images.has_error()) return images.error();
  if (call->per_edge[0] || call->per_edge[1]) {
    return RefuseSweeps("lines of images that are swept line by line have one cotangent each");
  }
  const int64_t samples = int64_t(y_bar.element_count());
  auto second = WorkSpaceOf(lam_bars, samples * cuda::kReverseSampleBytes);
  if (second.has_error()) return second.error();
  const SweepOrder order(axes);
  const auto lam_bar = [&](int a) {
    auto result = lam_bars.get<ffi::AnyBuffer>(a);
    return **result;
  };
  CallScope scope;
  DeclareReverse(scope, y_bar, bits, x_bar, lam_bars);
  scope.Output(*second, "second");
  const auto data = [&](int a) { return static_cast<float*>(lam_bar(a).untyped_data()); };
  return cuda::ToError(cuda::SweepsReverseByLines(
      stream, *images, static_cast<const float*>(y_bar.untyped_data()),
      static_cast<const uint8_t*>(bits.untyped_data()), static_cast<float*>(x_bar->untyped_data()),
      {data(order.height), data(order.width)}, static_cast<float*>(second->untyped_data())));
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kSweeps, Sweeps, SweepsBinding<cuda::Stream>(),
                       {ffi::Traits::kCmdBufferCompatible});
XLA_FFI_DEFINE_HANDLER(kReverse, Reverse, ReverseBinding<cuda::Stream>(),
                       {ffi::Traits::kCmdBufferCompatible});

}  // namespace

Handlers SweepsByLinesHandlers() {
  return {{"jaxtv_sweeps_by_lines", kSweeps}, {"jaxtv_sweeps_by_lines_reverse", kReverse}};
}

}  // namespace jaxtv
