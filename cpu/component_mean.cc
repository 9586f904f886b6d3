// SPDX-License-Identifier: MIT
// CPU handler of the mean over the components of images.
#include <limits>

#include "core/run.h"
#include "cpu/images/components.h"
#include "cpu/images/image_weights.h"
#include "cpu/threads/for_images.h"
#include "ffi/handlers.h"
#include "ffi/images.h"

namespace jaxtv {
namespace {

constexpr int64_t kBlock = 16384;  // pixels; an image may be cut anywhere

// The mean of v over the components of one contiguous image: equal neighbours with a weight.
template <typename T, typename Run>
void MeanOfComponents(const Run& run, const ImageWeights<T>& lams, int64_t i, const T* y,
                      const T* v, T* mean) {
  const Image& image = lams.images.image;
  const int64_t pixels = image.pixels();
  std::vector<std::vector<T>> values;
  std::vector<AxisWeights<T>> weights;
  lams.Read(i, T(1), std::numeric_limits<T>::infinity(), &values, &weights);
  FusedEdges fused;
  for (int a = 0; a < image.axes(); ++a) {
    const int64_t step = image.Along(a).inner, n = image.size[a];
    fused.push_back(Buffer<uint8_t>::Zeros(pixels));
    run((pixels + kBlock - 1) / kBlock, [&](int64_t begin, int64_t end) {
      const int64_t last = std::min(pixels - step, end * kBlock);
      for (int64_t k = begin * kBlock; k < last; ++k) {
        fused[a][k] = y[k] == y[k + step] && k / step % n != n - 1 && weights[a][k] > T(0);
      }
    });
  }
  Components components(image);
  components.Label(run, fused);
  components.Average(run, v);
  for (int64_t k = 0; k < pixels; ++k) {
    mean[k] = y[k] == y[k] ? T(components.mean(k)) : NoDerivative(v[k]);
  }
}

ffi::Error ComponentMean(ffi::ThreadPool pool, ffi::AnyBuffer y, ffi::AnyBuffer v,
                         ffi::RemainingArgs lams, ffi::Result<ffi::AnyBuffer> mean,
                         ffi::Span<const int64_t> axes) try {
  const auto images = ImagesOf(y.dimensions(), axes);
  if (images.has_error()) return images.error();
  const auto pixel = PerPixel(y.dimensions(), axes);
  if (pixel.has_error()) return pixel.error();
  const auto edge = PerEdge(lams, 0, 1, y, axes, "lam");
  if (edge.has_error()) return edge.error();
  if (auto error = CheckLike(y, v, "v"); error.failure()) return error;
  if (auto error = CheckLike(y, *mean, "the result"); error.failure()) return error;
  return DispatchFloat(y.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const T* ys = static_cast<const T*>(y.untyped_data());
    const T* vs = static_cast<const T*>(v.untyped_data());
    T* ms = static_cast<T*>(mean->untyped_data());
    const ImageWeights<T> weights{*images, EdgeOperands<T>(lams, 0, *edge)};
    const int64_t pixels = images->image.pixels();
    if (pixels == 0) return ffi::Error::Success();
    ForImages(pool, images->count, [&](const SharedLoop& run, int64_t i) {
      const int64_t at = images->Offset(*pixel, i);
      if (images->Contiguous(*pixel)) {
        MeanOfComponents(run, weights, i, ys + at, vs + at, ms + at);
        return;
      }
      std::vector<T> level(pixels), in(pixels), out(pixels);
      images->ForPixels(*pixel, [&](int64_t k, int64_t offset) {
        level[k] = ys[at + offset];
        in[k] = vs[at + offset];
      });
      MeanOfComponents(run, weights, i, level.data(), in.data(), out.data());
      images->ForPixels(*pixel, [&](int64_t k, int64_t offset) { ms[at + offset] = out[k]; });
    });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kComponentMean, ComponentMean,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()  // y
                           .Arg<ffi::AnyBuffer>()  // v
                           .RemainingArgs()        // lam, one per axis
                           .Ret<ffi::AnyBuffer>()  // mean
                           .Attr<ffi::Span<const int64_t>>("axes"));

}  // namespace

Handlers ComponentMeanHandlers() { return {{"jaxtv_component_mean", kComponentMean}}; }

}  // namespace jaxtv
