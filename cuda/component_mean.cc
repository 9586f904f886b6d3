// SPDX-License-Identifier: MIT
// CUDA handler of the mean over the components of images: the operands and the attribute of
// cpu/component_mean.cc, and work space as a last result.
#include "cuda/images/component_mean.h"

#include "cuda/common/call.h"
#include "cuda/images/operands.h"
#include "cuda/images/work_space.h"
#include "ffi/handlers.h"
#include "ffi/images.h"

namespace jaxtv {
namespace {

ffi::Error ComponentMean(cudaStream_t stream, ffi::AnyBuffer y, ffi::AnyBuffer v,
                         ffi::RemainingArgs lams, ffi::Result<ffi::AnyBuffer> mean,
                         ffi::Result<ffi::AnyBuffer> scratch, ffi::Span<const int64_t> axes) try {
  const auto images = ImagesOf(y.dimensions(), axes);
  if (images.has_error()) return images.error();
  const auto edge = PerEdge(lams, 0, 1, y, axes, "lam");
  if (edge.has_error()) return edge.error();
  if (auto error = CheckLike(y, v, "v"); error.failure()) return error;
  if (auto error = CheckLike(y, *mean, "the result"); error.failure()) return error;
  const int64_t needed =
      ImageSpaceBytes(y, axes.size(), cuda::kComponentSampleBytes, cuda::kComponentAxisBytes);
  if (auto error = cuda::CheckWorkSpace(*scratch, needed); error.failure()) return error;
  if (y.element_count() == 0) return ffi::Error::Success();
  cuda::CallScope scope;
  scope.Input(y, "y");
  scope.Input(v, "v");
  for (size_t a = 0; a < axes.size(); ++a) scope.Input(*lams.get<ffi::AnyBuffer>(a), "lam");
  scope.Output(*mean, "mean");
  scope.Output(*scratch, "scratch");
  return DispatchFloat(y.element_type(), [&](auto zero) {
    using T = decltype(zero);
    std::vector<cuda::TvAxis<T>> tv_axes;
    for (const size_t a : AxesWithEdges(images->image)) {
      auto axis = AxisOf<T>(y.dimensions(), axes[a], *lams.get<ffi::AnyBuffer>(a));
      if (axis.has_error()) return axis.error();
      tv_axes.push_back(*axis);
    }
    return cuda::ToError(
        cuda::ComponentMean(stream, tv_axes, static_cast<const T*>(y.untyped_data()),
                            static_cast<const T*>(v.untyped_data()),
                            static_cast<T*>(mean->untyped_data()), scratch->untyped_data()));
  });
} catch (const std::exception& e) {
  return Caught(e);
}

// Nothing is allocated and nothing waits, so that XLA may record the launches in a CUDA graph.
XLA_FFI_DEFINE_HANDLER(kComponentMean, ComponentMean,
                       ffi::Ffi::Bind()
                           .Ctx<cuda::Stream>()
                           .Arg<ffi::AnyBuffer>()  // y
                           .Arg<ffi::AnyBuffer>()  // v
                           .RemainingArgs()        // lam, one per axis
                           .Ret<ffi::AnyBuffer>()  // mean
                           .Ret<ffi::AnyBuffer>()  // scratch
                           .Attr<ffi::Span<const int64_t>>("axes"),
                       {ffi::Traits::kCmdBufferCompatible});

}  // namespace

Handlers ComponentMeanHandlers() { return {{"jaxtv_component_mean", kComponentMean}}; }

}  // namespace jaxtv
