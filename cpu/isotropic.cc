// SPDX-License-Identifier: MIT
// CPU handlers of the TV prox that couples differences, and of the linear problem of its
// derivative.
#include <cmath>
#include <limits>

#include "cpu/isotropic/prox_image.h"
#include "cpu/threads/for_images.h"
#include "ffi/handlers.h"
#include "ffi/images.h"

namespace jaxtv {
namespace {

// The images of a call: the last axes, of which the first is that of the channels.
struct Call {
  ffi::AnyBuffer x;
  ffi::Span<const int64_t> axes;
  Images images;

  static ffi::ErrorOr<Call> Of(ffi::AnyBuffer x, ffi::Span<const int64_t> axes) {
    const int64_t rank = int64_t(x.dimensions().size()), count = int64_t(axes.size());
    bool last = count >= 2;
    for (int64_t k = 0; k < count; ++k) last = last && axes[size_t(k)] == rank - count + k;
    if (!last) {
      return ffi::Unexpected(ffi::Error::InvalidArgument(
          "jaxtv: axes must be the last ones of x, of shape " + ToString(x.dimensions())));
    }
    auto images = ImagesOf(x.dimensions(), axes);
    if (images.has_error()) return ffi::Unexpected(images.error());
    return Call{x, axes, std::move(*images)};
  }

  Grid grid(bool periodic) const {
    const auto& size = images.image.size;
    return Grid({size.begin() + 1, size.end()}, int(size[0]), periodic);
  }

  int64_t elements() const { return images.image.pixels(); }

  // The strides of an operand whose dimensions are those of x or 1, and 1 along the channels if
  // `channels` is false.
  ffi::ErrorOr<Strides> Broadcast(ffi::AnyBuffer operand, const char* name, bool channels) const {
    if (operand.element_type() != x.element_type()) {
      return ffi::Unexpected(
          ffi::Error::InvalidArgument(std::string("jaxtv: ") + name + " must have the dtype of x"));
    }
    const int64_t channel = axes[0];
    return StridesOf(operand.dimensions(), x.dimensions(), axes, name,
                     [&](int64_t d, int64_t size) { return d == channel && !channels ? 1 : size; });
  }

  template <typename T>
  ImageOperand<T> At(const ffi::AnyBuffer& operand, const Strides& strides, int64_t i) const {
    return {static_cast<const T*>(operand.untyped_data()) + images.Offset(strides, i),
            strides.image};
  }
};

// Groups of operands, of which each has one for every axis of an image.
struct AxisOperands {
  std::vector<ffi::AnyBuffer> buffers;
  std::vector<Strides> strides;

  static ffi::ErrorOr<AxisOperands> Of(const Call& call, ffi::RemainingArgs args, size_t group,
                                       size_t groups, const char* name, bool channels) {
    const size_t count = call.axes.size() - 1;
    if (args.size() != groups * count) {
      return ffi::Unexpected(ffi::Error::InvalidArgument(
          std::string("jaxtv: expected a ") + name + " for each axis, and as many of the others"));
    }
    AxisOperands found;
    for (size_t a = 0; a < count; ++a) {
      const auto buffer = args.get<ffi::AnyBuffer>(group * count + a);
      if (buffer.has_error()) return ffi::Unexpected(buffer.error());
      auto strides = call.Broadcast(*buffer, name, channels);
      if (strides.has_error()) return ffi::Unexpected(strides.error());
      found.buffers.push_back(*buffer);
      found.strides.push_back(std::move(*strides));
    }
    return found;
  }

  template <typename T>
  std::vector<ImageOperand<T>> At(const Call& call, int64_t i) const {
    std::vector<ImageOperand<T>> found;
    for (size_t a = 0; a < buffers.size(); ++a) {
      found.push_back(call.At<T>(buffers[a], strides[a], i));
    }
    return found;
  }
};

// Numbers for each image.
struct PerImageOperands {
  Strides goal, limit;

  static ffi::ErrorOr<PerImageOperands> Of(const Call& call, ffi::AnyBuffer goal,
                                           ffi::Buffer<ffi::S32> limit) {
    if (goal.element_type() != call.x.element_type()) {
      return ffi::Unexpected(
          ffi::Error::InvalidArgument("jaxtv: the target must have the dtype of x"));
    }
    auto of_goal = PerImage(goal.dimensions(), call.x.dimensions(), call.axes, "target");
    if (of_goal.has_error()) return ffi::Unexpected(of_goal.error());
    auto of_limit = PerImage(limit.dimensions(), call.x.dimensions(), call.axes, "limit");
    if (of_limit.has_error()) return ffi::Unexpected(of_limit.error());
    return PerImageOperands{std::move(*of_goal), std::move(*of_limit)};
  }
};

ffi::Error Prox(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer data_weight,
                ffi::AnyBuffer target, ffi::Buffer<ffi::S32> limit, ffi::RemainingArgs args,
                ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::AnyBuffer> gap,
                ffi::Result<ffi::AnyBuffer> bound, ffi::ResultBuffer<ffi::S32> sweeps,
                ffi::RemainingRets rets, ffi::Span<const int64_t> axes, bool isotropic,
                bool periodic) try {
  const auto call = Call::Of(x, axes);
  if (call.has_error()) return call.error();
  const auto of_m = call->Broadcast(data_weight, "data_weight", true);
  if (of_m.has_error()) return of_m.error();
  const auto lams = AxisOperands::Of(*call, args, 0, 2, "lam", false);
  if (lams.has_error()) return lams.error();
  const auto init = AxisOperands::Of(*call, args, 1, 2, "init", true);
  if (init.has_error()) return init.error();
  const auto numbers = PerImageOperands::Of(*call, target, limit);
  if (numbers.has_error()) return numbers.error();
  if (auto error = CheckLike(x, *y, "the result"); error.failure()) return error;
  if (rets.size() + 1 != axes.size()) {
    return ffi::Error::InvalidArgument("jaxtv: expected a dual for each axis");
  }
  std::vector<ffi::AnyBuffer> duals;
  for (size_t a = 0; a < rets.size(); ++a) {
    auto ret = rets.get<ffi::AnyBuffer>(a);
    if (ret.has_error()) return ret.error();
    if (auto error = CheckLike(x, **ret, "a dual"); error.failure()) return error;
    duals.push_back(**ret);
  }
  const int64_t count = call->images.count;
  if (int64_t(gap->element_count()) != count || int64_t(bound->element_count()) != count ||
      int64_t(sweeps->element_count()) != count || gap->element_type() != x.element_type() ||
      bound->element_type() != x.element_type()) {
    return ffi::Error::InvalidArgument(
        "jaxtv: gap, bound and sweeps are one number per image, of the dtype of x or int32");
  }
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const Grid grid = call->grid(periodic);
    const int64_t size = call->elements();
    if (size == 0) return ffi::Error::Success();
    ForImages(pool, count, [&](const SharedLoop& run, int64_t i) {
      std::vector<T*> to;
      for (auto& dual : duals) to.push_back(static_cast<T*>(dual.untyped_data()) + i * size);
      const ProxImage<T> image{
          grid,
          isotropic,
          static_cast<const T*>(x.untyped_data()) + i * size,
          call->At<T>(data_weight, *of_m, i),
          lams->At<T>(*call, i),
          init->At<T>(*call, i),
          static_cast<const T*>(target.untyped_data())[call->images.Offset(numbers->goal, i)],
          limit.typed_data()[call->images.Offset(numbers->limit, i)],
          static_cast<T*>(y->untyped_data()) + i * size,
          to};
      const auto outcome = image.Solve(run);
      static_cast<T*>(gap->untyped_data())[i] = RoundUp<T>(outcome.bounds.gap);
      static_cast<T*>(bound->untyped_data())[i] = RoundUp<T>(outcome.bounds.bound);
      sweeps->typed_data()[i] = int32_t(outcome.sweeps);
    });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

// Whether operands have the sizes of x along the axes of an image.
bool AreFull(const Call& call, const AxisOperands& operands) {
  for (const auto& buffer : operands.buffers) {
    for (size_t k = 1; k < call.axes.size(); ++k) {
      const size_t d = size_t(call.axes[k]);
      if (buffer.dimensions()[d] != call.x.dimensions()[d]) return false;
    }
  }
  return true;
}

ffi::Error LinearProblem(ffi::ThreadPool pool, ffi::AnyBuffer source, ffi::AnyBuffer data_weight,
                         ffi::AnyBuffer tol, ffi::Buffer<ffi::S32> limit, ffi::RemainingArgs args,
                         ffi::Result<ffi::AnyBuffer> z, ffi::Result<ffi::AnyBuffer> residual,
                         ffi::ResultBuffer<ffi::S32> sweeps, ffi::Span<const int64_t> axes,
                         bool isotropic, bool periodic) try {
  const auto call = Call::Of(source, axes);
  if (call.has_error()) return call.error();
  const auto of_m = call->Broadcast(data_weight, "data_weight", true);
  if (of_m.has_error()) return of_m.error();
  const auto lams = AxisOperands::Of(*call, args, 0, 3, "lam", false);
  if (lams.has_error()) return lams.error();
  const auto lengths = AxisOperands::Of(*call, args, 1, 3, "length", false);
  if (lengths.has_error()) return lengths.error();
  const auto directions = AxisOperands::Of(*call, args, 2, 3, "direction", true);
  if (directions.has_error()) return directions.error();
  if (!AreFull(*call, *lengths) || !AreFull(*call, *directions)) {
    return ffi::Error::InvalidArgument("jaxtv: lengths and directions are one for each pixel");
  }
  const auto numbers = PerImageOperands::Of(*call, tol, limit);
  if (numbers.has_error()) return numbers.error();
  if (auto error = CheckLike(source, *z, "the result"); error.failure()) return error;
  const int64_t count = call->images.count;
  if (int64_t(residual->element_count()) != count || int64_t(sweeps->element_count()) != count ||
      residual->element_type() != source.element_type()) {
    return ffi::Error::InvalidArgument(
        "jaxtv: residual and sweeps are one number per image, of the dtype of x or int32");
  }
  return DispatchFloat(source.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const Grid grid = call->grid(periodic);
    const int64_t size = call->elements();
    if (size == 0) return ffi::Error::Success();
    ForImages(pool, count, [&](const SharedLoop& run, int64_t i) {
      const T* from = static_cast<const T*>(source.untyped_data()) + i * size;
      T* to = static_cast<T*>(z->untyped_data()) + i * size;
      const DataWeights<T> m(grid, call->At<T>(data_weight, *of_m, i));
      const GroupWeights<T> weights(grid, lams->At<T>(*call, i), isotropic);
      const Linear<T> linear{lengths->At<T>(*call, i), directions->At<T>(*call, i)};
      Iteration<T> iteration(grid, m, weights, isotropic, from, &linear);
      double square = 0;
      for (int64_t k = 0; k < size; ++k) square += double(from[k]) * double(from[k]);
      const double tolerated =
          static_cast<const T*>(tol.untyped_data())[call->images.Offset(numbers->goal, i)];
      double found = std::sqrt(square);
      const double goal = tolerated * found;
      const int64_t most = limit.typed_data()[call->images.Offset(numbers->limit, i)];
      int64_t made = 0;
      if (found > goal) {
        made = Iterate(run, iteration, most, [&] {
          found = iteration.Residual(run);
          return !(found > goal);
        });
      }
      CopyRows(grid, iteration.y(), 0, to);
      if (!std::isfinite(square)) std::fill_n(to, size, std::numeric_limits<T>::quiet_NaN());
      static_cast<T*>(residual->untyped_data())[i] = T(found);
      sweeps->typed_data()[i] = int32_t(made);
    });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kProx, Prox,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()         // x
                           .Arg<ffi::AnyBuffer>()         // data_weight
                           .Arg<ffi::AnyBuffer>()         // target
                           .Arg<ffi::Buffer<ffi::S32>>()  // limit
                           .RemainingArgs()               // for each axis lam, then init
                           .Ret<ffi::AnyBuffer>()         // y
                           .Ret<ffi::AnyBuffer>()         // gap
                           .Ret<ffi::AnyBuffer>()         // bound
                           .Ret<ffi::Buffer<ffi::S32>>()  // sweeps
                           .RemainingRets()               // a dual for each axis
                           .Attr<ffi::Span<const int64_t>>("axes")
                           .Attr<bool>("isotropic")
                           .Attr<bool>("periodic"));

XLA_FFI_DEFINE_HANDLER(kLinear, LinearProblem,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()         // the right side
                           .Arg<ffi::AnyBuffer>()         // data_weight
                           .Arg<ffi::AnyBuffer>()         // tol
                           .Arg<ffi::Buffer<ffi::S32>>()  // limit
                           .RemainingArgs()        // for each axis lam, then length, then direction
                           .Ret<ffi::AnyBuffer>()  // z
                           .Ret<ffi::AnyBuffer>()  // residual
                           .Ret<ffi::Buffer<ffi::S32>>()  // sweeps
                           .Attr<ffi::Span<const int64_t>>("axes")
                           .Attr<bool>("isotropic")
                           .Attr<bool>("periodic"));

}  // namespace

Handlers IsotropicHandlers() {
  return {{"jaxtv_prox_isotropic", kProx}, {"jaxtv_isotropic_linear", kLinear}};
}

}  // namespace jaxtv
