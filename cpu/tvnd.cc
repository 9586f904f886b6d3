// SPDX-License-Identifier: MIT
// CPU handlers of the certified TV prox of images and of the mean over their components.
#include "cpu/tvnd.h"

#include <cmath>
#include <limits>

#include "cpu/components.h"
#include "cpu/runner.h"
#include "ffi/handlers.h"
#include "ffi/images.h"

namespace jaxtv {
namespace {

constexpr int64_t kBlock = 16384;  // pixels, where any cut of an image will do

// The weights of one image along one axis, cut at `cap`; `room` holds them.
template <typename T>
AxisWeights<T> WeightsOfImage(const Images& images, int axis, const Strides& strides, const T* lam,
                              T cap, std::vector<T>* room) {
  bool same = true;
  for (int a = 0; a < images.image.axes(); ++a) {
    same = same && (strides.image[a] == 0 || images.image.size[a] == 1);
  }
  const int64_t n = images.image.size[axis];
  if (same || n == 1) {
    room->assign(1, n == 1 ? T(0) : std::min(*lam, cap));
    return {room->data(), 0};
  }
  const int64_t step = images.image.Along(axis).inner;
  room->assign(images.image.pixels(), T(0));
  images.ForPixels(strides, [&](int64_t k, int64_t offset) {
    if (k / step % n != n - 1) (*room)[k] = std::min(lam[offset], cap);
  });
  return {room->data(), 1};
}

template <typename T>
struct Problem {
  const Images& images;
  const std::vector<Strides>& lam_strides;
  std::vector<const T*> lams;

  // Weights of image `i`, in `rooms`; false if one is negative or NaN.
  bool Weights(int64_t i, T cap, std::vector<std::vector<T>>* rooms,
               std::vector<AxisWeights<T>>* weights) const {
    const int axes = images.image.axes();
    rooms->resize(axes);
    for (int a = 0; a < axes; ++a) {
      const T* lam = lams[a] + images.Offset(lam_strides[a], i);
      weights->push_back(WeightsOfImage(images, a, lam_strides[a], lam, cap, &(*rooms)[a]));
      for (const T w : (*rooms)[a]) {
        if (!(w >= T(0))) return false;
      }
    }
    return true;
  }
};

template <typename T>
std::vector<const T*> Pointers(ffi::RemainingArgs lams) {
  std::vector<const T*> data;
  for (size_t a = 0; a < lams.size(); ++a) {
    data.push_back(static_cast<const T*>(lams.get<ffi::AnyBuffer>(a)->untyped_data()));
  }
  return data;
}

// Solves a contiguous image that may be anything: not finite, constant, without weights.
template <typename T, typename Run>
Outcome SolveAny(const Run& run, const Problem<T>& problem, int64_t i, const T* x, double tol,
                 int64_t max_sweeps, T* y) {
  const Image& image = problem.images.image;
  const int64_t pixels = image.pixels();
  const Scale scale = ScaleOf(x, pixels);
  std::vector<std::vector<T>> rooms;
  std::vector<AxisWeights<T>> weights;
  // The dual of an edge is a flow out of at most all pixels of at most the range each, so larger
  // (also infinite) weights change nothing.
  const T cap = T(std::min(double(pixels) * scale.range, double(std::numeric_limits<T>::max())));
  Outcome outcome;
  if (!scale.finite || !problem.Weights(i, cap, &rooms, &weights)) {
    std::fill(y, y + pixels, std::numeric_limits<T>::quiet_NaN());
    outcome.certificate = {std::nan(""), std::nan("")};
    return outcome;
  }
  bool trivial = scale.range == 0;
  if (!trivial) {
    trivial = true;
    for (const auto& room : rooms) {
      for (const T w : room) trivial = trivial && w == T(0);
    }
  }
  if (!trivial) return SolveImage(run, image, weights, x, scale, tol, max_sweeps, y);
  std::copy(x, x + pixels, y);
  return {{0, 0}, 0, true, true};
}

// The least T that is not below a value.
template <typename T>
T RoundUp(double value) {
  const T rounded = T(value);
  return double(rounded) < value ? std::nextafter(rounded, std::numeric_limits<T>::infinity())
                                 : rounded;
}

ffi::Error ProxTvnd(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer tol,
                    ffi::Buffer<ffi::S32> max_sweeps, ffi::RemainingArgs lams,
                    ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::AnyBuffer> gap,
                    ffi::Result<ffi::AnyBuffer> bound, ffi::ResultBuffer<ffi::S32> sweeps,
                    ffi::ResultBuffer<ffi::PRED> converged, ffi::ResultBuffer<ffi::PRED> exact,
                    ffi::Span<const int64_t> axes) try {
  const auto images = ImagesOf(x.dimensions(), axes);
  if (images.has_error()) return images.error();
  const auto pixel = PerPixel(x.dimensions(), axes);
  if (pixel.has_error()) return pixel.error();
  const auto edge = PerEdge(lams, x, axes);
  if (edge.has_error()) return edge.error();
  const auto tol_at = PerImage(tol.dimensions(), x.dimensions(), axes, "tol");
  if (tol_at.has_error()) return tol_at.error();
  const auto limit_at = PerImage(max_sweeps.dimensions(), x.dimensions(), axes, "max_sweeps");
  if (limit_at.has_error()) return limit_at.error();
  if (auto error = CheckLike(x, *y, "the result"); error.failure()) return error;
  for (const size_t count : {gap->element_count(), bound->element_count(), sweeps->element_count(),
                             converged->element_count(), exact->element_count()}) {
    if (int64_t(count) != images->count) {
      return ffi::Error::InvalidArgument(
          "jaxtv: each result but the first is one number per image");
    }
  }
  if (tol.element_type() != x.element_type() || gap->element_type() != x.element_type() ||
      bound->element_type() != x.element_type()) {
    return ffi::Error::InvalidArgument("jaxtv: tol, gap and bound must have the dtype of x");
  }
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const T* xs = static_cast<const T*>(x.untyped_data());
    const T* tols = static_cast<const T*>(tol.untyped_data());
    T* ys = static_cast<T*>(y->untyped_data());
    const Problem<T> problem{*images, *edge, Pointers<T>(lams)};
    const int64_t pixels = images->image.pixels();
    ForImages(pool, images->count, [&](const Runner& run, int64_t i) {
      const int64_t at = images->Offset(*pixel, i);
      const double image_tol = double(tols[images->Offset(*tol_at, i)]);
      const int64_t limit = max_sweeps.typed_data()[images->Offset(*limit_at, i)];
      Outcome outcome{{0, 0}, 0, true, true};
      if (pixels > 0 && images->Contiguous(*pixel)) {
        outcome = SolveAny(run, problem, i, xs + at, image_tol, limit, ys + at);
      } else if (pixels > 0) {
        std::vector<T> in(pixels), out(pixels);
        images->ForPixels(*pixel, [&](int64_t k, int64_t offset) { in[k] = xs[at + offset]; });
        outcome = SolveAny(run, problem, i, in.data(), image_tol, limit, out.data());
        images->ForPixels(*pixel, [&](int64_t k, int64_t offset) { ys[at + offset] = out[k]; });
      }
      static_cast<T*>(gap->untyped_data())[i] = RoundUp<T>(outcome.certificate.gap);
      static_cast<T*>(bound->untyped_data())[i] = RoundUp<T>(outcome.certificate.bound);
      sweeps->typed_data()[i] = outcome.sweeps;
      converged->typed_data()[i] = outcome.converged;
      exact->typed_data()[i] = outcome.exact;
    });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

// The mean of v over the components of one contiguous image: equal neighbours with a weight.
template <typename T, typename Run>
void MeanOfComponents(const Run& run, const Problem<T>& problem, int64_t i, const T* y, const T* v,
                      T* mean) {
  const Image& image = problem.images.image;
  const int64_t pixels = image.pixels();
  std::vector<std::vector<T>> rooms;
  std::vector<AxisWeights<T>> weights;
  problem.Weights(i, std::numeric_limits<T>::infinity(), &rooms, &weights);
  FusedEdges fused(image.axes());
  for (int a = 0; a < image.axes(); ++a) {
    const int64_t step = image.Along(a).inner, n = image.size[a];
    fused[a].assign(pixels, 0);
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
    mean[k] = y[k] == y[k] ? T(components.mean(k)) : y[k];
  }
}

ffi::Error ComponentMean(ffi::ThreadPool pool, ffi::AnyBuffer y, ffi::AnyBuffer v,
                         ffi::RemainingArgs lams, ffi::Result<ffi::AnyBuffer> mean,
                         ffi::Span<const int64_t> axes) try {
  const auto images = ImagesOf(y.dimensions(), axes);
  if (images.has_error()) return images.error();
  const auto pixel = PerPixel(y.dimensions(), axes);
  if (pixel.has_error()) return pixel.error();
  const auto edge = PerEdge(lams, y, axes);
  if (edge.has_error()) return edge.error();
  if (auto error = CheckLike(y, v, "v"); error.failure()) return error;
  if (auto error = CheckLike(y, *mean, "the result"); error.failure()) return error;
  return DispatchFloat(y.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const T* ys = static_cast<const T*>(y.untyped_data());
    const T* vs = static_cast<const T*>(v.untyped_data());
    T* ms = static_cast<T*>(mean->untyped_data());
    const Problem<T> problem{*images, *edge, Pointers<T>(lams)};
    const int64_t pixels = images->image.pixels();
    if (pixels == 0) return ffi::Error::Success();
    ForImages(pool, images->count, [&](const Runner& run, int64_t i) {
      const int64_t at = images->Offset(*pixel, i);
      if (images->Contiguous(*pixel)) {
        MeanOfComponents(run, problem, i, ys + at, vs + at, ms + at);
        return;
      }
      std::vector<T> level(pixels), in(pixels), out(pixels);
      images->ForPixels(*pixel, [&](int64_t k, int64_t offset) {
        level[k] = ys[at + offset];
        in[k] = vs[at + offset];
      });
      MeanOfComponents(run, problem, i, level.data(), in.data(), out.data());
      images->ForPixels(*pixel, [&](int64_t k, int64_t offset) { ms[at + offset] = out[k]; });
    });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kProxTvnd, ProxTvnd,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()          // x
                           .Arg<ffi::AnyBuffer>()          // tol
                           .Arg<ffi::Buffer<ffi::S32>>()   // max_sweeps
                           .RemainingArgs()                // lam, one per axis
                           .Ret<ffi::AnyBuffer>()          // y
                           .Ret<ffi::AnyBuffer>()          // gap
                           .Ret<ffi::AnyBuffer>()          // bound
                           .Ret<ffi::Buffer<ffi::S32>>()   // sweeps
                           .Ret<ffi::Buffer<ffi::PRED>>()  // converged
                           .Ret<ffi::Buffer<ffi::PRED>>()  // exact
                           .Attr<ffi::Span<const int64_t>>("axes"));

XLA_FFI_DEFINE_HANDLER(kComponentMean, ComponentMean,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()  // y
                           .Arg<ffi::AnyBuffer>()  // v
                           .RemainingArgs()        // lam, one per axis
                           .Ret<ffi::AnyBuffer>()  // mean
                           .Attr<ffi::Span<const int64_t>>("axes"));

}  // namespace

Handlers TvndHandlers() {
  return {{"jaxtv_prox_tvnd", kProxTvnd}, {"jaxtv_component_mean", kComponentMean}};
}

}  // namespace jaxtv
