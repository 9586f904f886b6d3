// SPDX-License-Identifier: MIT
// CPU handlers of the certified TV prox of images.
#include "core/round_up.h"
#include "cpu/images/image_weights.h"
#include "cpu/images/scaling.h"
#include "cpu/threads/for_images.h"
#include "ffi/handlers.h"
#include "ffi/images.h"

namespace jaxtv {
namespace {

// The checked operands and results of a call but the weights and duals.
struct Call {
  ffi::AnyBuffer x, tol;
  ffi::Buffer<ffi::S32> max_sweeps;
  ffi::Result<ffi::AnyBuffer> y, gap, bound;
  ffi::ResultBuffer<ffi::S32> sweeps;
  ffi::ResultBuffer<ffi::PRED> converged, exact;
  ffi::Span<const int64_t> axes;
  Images images;
  Strides pixel, tol_at, limit_at;

  ffi::Error Check() {
    auto all = ImagesOf(x.dimensions(), axes);
    if (all.has_error()) return all.error();
    auto of_pixel = PerPixel(x.dimensions(), axes);
    if (of_pixel.has_error()) return of_pixel.error();
    auto of_tol = PerImage(tol.dimensions(), x.dimensions(), axes, "tol");
    if (of_tol.has_error()) return of_tol.error();
    auto of_limit = PerImage(max_sweeps.dimensions(), x.dimensions(), axes, "max_sweeps");
    if (of_limit.has_error()) return of_limit.error();
    if (auto error = CheckLike(x, *y, "the result"); error.failure()) return error;
    for (const size_t count :
         {gap->element_count(), bound->element_count(), sweeps->element_count(),
          converged->element_count(), exact->element_count()}) {
      if (int64_t(count) != all->count) {
        return ffi::Error::InvalidArgument(
            "jaxtv: each result but the first is one number per image");
      }
    }
    if (tol.element_type() != x.element_type() || gap->element_type() != x.element_type() ||
        bound->element_type() != x.element_type()) {
      return ffi::Error::InvalidArgument("jaxtv: tol, gap and bound must have the dtype of x");
    }
    images = std::move(*all);
    pixel = std::move(*of_pixel);
    tol_at = std::move(*of_tol);
    limit_at = std::move(*of_limit);
    return ffi::Error::Success();
  }
};

// Duals of edges: what to start from, and where those at the end go. None of both, or one per axis.
template <typename T>
struct DualBuffers {
  std::vector<EdgeOperand<T>> from;
  std::vector<T*> to;
  std::vector<Strides> to_at;

  // Those of image `i`, per pixel.
  std::vector<std::vector<T>> Read(const Images& images, int64_t i) const {
    std::vector<std::vector<T>> duals;
    ForEdges(images, i, [&](size_t a, int64_t k, bool edge, int64_t from_at, int64_t) {
      if (a == duals.size()) duals.emplace_back(images.image.pixels());
      duals[a][k] = edge ? from[a].data[from_at] : T(0);
    });
    return duals;
  }

  void Write(const Images& images, int64_t i, const std::vector<std::vector<T>>& duals) const {
    ForEdges(images, i, [&](size_t a, int64_t k, bool edge, int64_t, int64_t at) {
      if (edge) to[a][at] = duals[a][k];
    });
  }

 private:
  // Calls f(axis, pixel, whether an edge starts there, its place in `from`, and in `to`).
  template <typename F>
  void ForEdges(const Images& images, int64_t i, const F& f) const {
    for (size_t a = 0; a < from.size(); ++a) {
      const int64_t step = images.image.Along(int(a)).inner, n = images.image.size[a];
      const int64_t to_first = images.Offset(to_at[a], i);
      std::vector<int64_t> places(images.image.pixels());
      images.ForPixels(to_at[a], [&](int64_t k, int64_t offset) { places[k] = to_first + offset; });
      const int64_t from_first = images.Offset(from[a].strides, i);
      images.ForPixels(from[a].strides, [&](int64_t k, int64_t offset) {
        f(a, k, k / step % n != n - 1, from_first + offset, places[k]);
      });
    }
  }
};

template <typename T>
void SolveOne(const SharedLoop& run, Call& call, const ImageWeights<T>& lams,
              const DualBuffers<T>& buffers, int64_t i) {
  const Images& images = call.images;
  const int64_t pixels = images.image.pixels(), at = images.Offset(call.pixel, i);
  const T* x = static_cast<const T*>(call.x.untyped_data()) + at;
  T* y = static_cast<T*>(call.y->untyped_data()) + at;
  Outcome outcome{{0, 0}, 0, true, true};
  if (pixels > 0) {
    std::vector<std::vector<T>> duals = buffers.Read(images, i);
    const auto weigh = [&](T factor, T cap, auto* values, auto* weights) {
      return lams.Read(i, factor, cap, values, weights);
    };
    Request<T> request{
        double(static_cast<const T*>(call.tol.untyped_data())[images.Offset(call.tol_at, i)]),
        call.max_sweeps.typed_data()[images.Offset(call.limit_at, i)],
        x,
        y,
        {}};
    for (auto& p : duals) request.duals.push_back(p.data());
    if (images.Contiguous(call.pixel)) {
      outcome = ProxImage(run, images.image, weigh, request);
    } else {
      std::vector<T> in(pixels), out(pixels);
      images.ForPixels(call.pixel, [&](int64_t k, int64_t offset) { in[k] = x[offset]; });
      request.x = in.data();
      request.y = out.data();
      outcome = ProxImage(run, images.image, weigh, request);
      images.ForPixels(call.pixel, [&](int64_t k, int64_t offset) { y[offset] = out[k]; });
    }
    buffers.Write(images, i, duals);
  }
  static_cast<T*>(call.gap->untyped_data())[i] = RoundUp<T>(outcome.certificate.gap);
  static_cast<T*>(call.bound->untyped_data())[i] = RoundUp<T>(outcome.certificate.bound);
  call.sweeps->typed_data()[i] = outcome.sweeps;
  call.converged->typed_data()[i] = outcome.converged;
  call.exact->typed_data()[i] = outcome.exact;
}

ffi::Error ProxTvnd(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer tol,
                    ffi::Buffer<ffi::S32> max_sweeps, ffi::RemainingArgs lams,
                    ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::AnyBuffer> gap,
                    ffi::Result<ffi::AnyBuffer> bound, ffi::ResultBuffer<ffi::S32> sweeps,
                    ffi::ResultBuffer<ffi::PRED> converged, ffi::ResultBuffer<ffi::PRED> exact,
                    ffi::Span<const int64_t> axes) try {
  Call call{x, tol, max_sweeps, y, gap, bound, sweeps, converged, exact, axes, {}, {}, {}, {}};
  if (auto error = call.Check(); error.failure()) return error;
  const auto edge = PerEdge(lams, 0, 1, x, axes, "lam");
  if (edge.has_error()) return edge.error();
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const ImageWeights<T> weights{call.images, EdgeOperands<T>(lams, 0, *edge)};
    ForImages(pool, call.images.count,
              [&](const SharedLoop& run, int64_t i) { SolveOne<T>(run, call, weights, {}, i); });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

// The same from duals, one operand per axis behind the weights, with as many more results.
ffi::Error ProxTvndWarm(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer tol,
                        ffi::Buffer<ffi::S32> max_sweeps, ffi::RemainingArgs args,
                        ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::AnyBuffer> gap,
                        ffi::Result<ffi::AnyBuffer> bound, ffi::ResultBuffer<ffi::S32> sweeps,
                        ffi::ResultBuffer<ffi::PRED> converged, ffi::ResultBuffer<ffi::PRED> exact,
                        ffi::RemainingRets rets, ffi::Span<const int64_t> axes) try {
  Call call{x, tol, max_sweeps, y, gap, bound, sweeps, converged, exact, axes, {}, {}, {}, {}};
  if (auto error = call.Check(); error.failure()) return error;
  const size_t count = axes.size();
  if (args.size() != 2 * count || rets.size() != count) {
    return ffi::Error::InvalidArgument(
        "jaxtv: expected a weight, a dual to start from and a dual "
        "at the end for each axis");
  }
  const auto edge = PerEdge(args, 0, 2, x, axes, "lam");
  if (edge.has_error()) return edge.error();
  const auto dual = PerEdge(args, 1, 2, x, axes, "init");
  if (dual.has_error()) return dual.error();
  std::vector<Strides> to_at;
  for (size_t a = 0; a < count; ++a) {
    auto ret = rets.get<ffi::AnyBuffer>(a);
    if (ret.has_error()) return ret.error();
    const auto strides = EdgeStrides(**ret, x, axes, a, "dual");
    if (strides.has_error()) return strides.error();
    if (int64_t((*ret)->element_count()) != EdgeCount(x, axes[a])) {
      return ffi::Error::InvalidArgument("jaxtv: a dual at the end has one element per edge");
    }
    to_at.push_back(*strides);
  }
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const ImageWeights<T> weights{call.images, EdgeOperands<T>(args, 0, *edge)};
    DualBuffers<T> buffers{EdgeOperands<T>(args, count, *dual), {}, to_at};
    for (size_t a = 0; a < count; ++a) {
      buffers.to.push_back(static_cast<T*>((*rets.get<ffi::AnyBuffer>(a))->untyped_data()));
    }
    ForImages(pool, call.images.count, [&](const SharedLoop& run, int64_t i) {
      SolveOne<T>(run, call, weights, buffers, i);
    });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

// What both handlers take and give.
auto ProxBinding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<ffi::AnyBuffer>()           // x
      .Arg<ffi::AnyBuffer>()           // tol
      .Arg<ffi::Buffer<ffi::S32>>()    // max_sweeps
      .RemainingArgs()                 // lam, one per axis; then duals to start from, if any
      .Ret<ffi::AnyBuffer>()           // y
      .Ret<ffi::AnyBuffer>()           // gap
      .Ret<ffi::AnyBuffer>()           // bound
      .Ret<ffi::Buffer<ffi::S32>>()    // sweeps
      .Ret<ffi::Buffer<ffi::PRED>>()   // converged
      .Ret<ffi::Buffer<ffi::PRED>>();  // exact
}

XLA_FFI_DEFINE_HANDLER(kProxTvnd, ProxTvnd, ProxBinding().Attr<ffi::Span<const int64_t>>("axes"));

XLA_FFI_DEFINE_HANDLER(kProxTvndWarm, ProxTvndWarm,
                       ProxBinding()
                           .RemainingRets()  // the duals at the end, one per axis
                           .Attr<ffi::Span<const int64_t>>("axes"));

}  // namespace

Handlers TvndHandlers() {
  return {{"jaxtv_prox_tvnd", kProxTvnd}, {"jaxtv_prox_tvnd_warm", kProxTvndWarm}};
}

}  // namespace jaxtv
