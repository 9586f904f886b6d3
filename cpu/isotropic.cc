// SPDX-License-Identifier: MIT
// CPU handlers of the TV prox that couples differences, and of the linear problem of its
// derivative.
#include "cpu/isotropic/linear_image.h"
#include "cpu/isotropic/prox_image.h"
#include "cpu/threads/for_images.h"
#include "ffi/coupled.h"
#include "ffi/handlers.h"

namespace jaxtv {
namespace {

Grid GridOf(const CoupledImages& call, bool periodic) {
  const auto& size = call.images.image.size;
  return Grid({size.begin() + 1, size.end()}, int(size[0]), periodic);
}

template <typename T>
ImageOperand<T> OfImage(const CoupledImages& call, const ffi::AnyBuffer& operand,
                        const Strides& strides, int64_t i) {
  return {static_cast<const T*>(operand.untyped_data()) + call.images.Offset(strides, i),
          strides.image};
}

template <typename T>
std::vector<ImageOperand<T>> OfImage(const CoupledImages& call, const AxisOperands& operands,
                                     int64_t i) {
  std::vector<ImageOperand<T>> found;
  for (size_t a = 0; a < operands.buffers.size(); ++a) {
    found.push_back(OfImage<T>(call, operands.buffers[a], operands.strides[a], i));
  }
  return found;
}

// Numbers for each image.
struct PerImageOperands {
  Strides goal, limit;

  static ffi::ErrorOr<PerImageOperands> Of(const CoupledImages& call, ffi::AnyBuffer goal,
                                           ffi::AnyBuffer limit) {
    auto of_goal = call.Numbers(goal, call.x.element_type(), "target");
    if (of_goal.has_error()) return ffi::Unexpected(of_goal.error());
    auto of_limit = call.Numbers(limit, ffi::S32, "limit");
    if (of_limit.has_error()) return ffi::Unexpected(of_limit.error());
    return PerImageOperands{std::move(*of_goal), std::move(*of_limit)};
  }
};

ffi::Error Prox(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer data_weight,
                ffi::AnyBuffer target, ffi::AnyBuffer limit, ffi::RemainingArgs args,
                ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::AnyBuffer> gap,
                ffi::Result<ffi::AnyBuffer> bound, ffi::ResultBuffer<ffi::S32> sweeps,
                ffi::RemainingRets rets, ffi::Span<const int64_t> axes, bool isotropic,
                bool periodic) try {
  const auto call = CoupledImages::Of(x, axes);
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
  const auto duals = DualResults(*call, rets, 0);
  if (duals.has_error()) return duals.error();
  const int64_t count = call->images.count;
  if (int64_t(gap->element_count()) != count || int64_t(bound->element_count()) != count ||
      int64_t(sweeps->element_count()) != count || gap->element_type() != x.element_type() ||
      bound->element_type() != x.element_type()) {
    return ffi::Error::InvalidArgument(
        "jaxtv: gap, bound and sweeps are one number per image, of the dtype of x or int32");
  }
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const Grid grid = GridOf(*call, periodic);
    const SharedOrder order(grid.rows, grid.length());
    const int64_t size = call->elements();
    if (size == 0) return ffi::Error::Success();
    ForImages(pool, count, [&](const SharedLoop& run, int64_t i) {
      std::vector<T*> to;
      for (const auto& dual : *duals) to.push_back(static_cast<T*>(dual.untyped_data()) + i * size);
      const ProxImage<T> image{
          grid,
          order,
          isotropic,
          static_cast<const T*>(x.untyped_data()) + i * size,
          OfImage<T>(*call, data_weight, *of_m, i),
          OfImage<T>(*call, *lams, i),
          OfImage<T>(*call, *init, i),
          static_cast<const T*>(target.untyped_data())[call->images.Offset(numbers->goal, i)],
          static_cast<const int32_t*>(limit.untyped_data())[call->images.Offset(numbers->limit, i)],
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
bool AreFull(const CoupledImages& call, const AxisOperands& operands) {
  for (const auto& buffer : operands.buffers) {
    for (size_t k = 1; k < call.axes.size(); ++k) {
      const size_t d = size_t(call.axes[k]);
      if (buffer.dimensions()[d] != call.x.dimensions()[d]) return false;
    }
  }
  return true;
}

ffi::Error LinearProblem(ffi::ThreadPool pool, ffi::AnyBuffer source, ffi::AnyBuffer data_weight,
                         ffi::AnyBuffer tol, ffi::AnyBuffer limit, ffi::RemainingArgs args,
                         ffi::Result<ffi::AnyBuffer> z, ffi::Result<ffi::AnyBuffer> residual,
                         ffi::ResultBuffer<ffi::S32> sweeps, ffi::Span<const int64_t> axes,
                         bool isotropic, bool periodic) try {
  const auto call = CoupledImages::Of(source, axes);
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
    const Grid grid = GridOf(*call, periodic);
    const SharedOrder order(grid.rows, grid.length());
    const int64_t size = call->elements();
    if (size == 0) return ffi::Error::Success();
    ForImages(pool, count, [&](const SharedLoop& run, int64_t i) {
      const LinearImage<T> image{
          grid,
          order,
          isotropic,
          static_cast<const T*>(source.untyped_data()) + i * size,
          OfImage<T>(*call, data_weight, *of_m, i),
          OfImage<T>(*call, *lams, i),
          {OfImage<T>(*call, *lengths, i), OfImage<T>(*call, *directions, i)},
          static_cast<const T*>(tol.untyped_data())[call->images.Offset(numbers->goal, i)],
          static_cast<const int32_t*>(limit.untyped_data())[call->images.Offset(numbers->limit, i)],
          static_cast<T*>(z->untyped_data()) + i * size};
      const auto outcome = image.Solve(run);
      static_cast<T*>(residual->untyped_data())[i] = T(outcome.residual);
      sweeps->typed_data()[i] = int32_t(outcome.sweeps);
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
                           .Arg<ffi::AnyBuffer>()         // limit
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
                           .Arg<ffi::AnyBuffer>()  // the right side
                           .Arg<ffi::AnyBuffer>()  // data_weight
                           .Arg<ffi::AnyBuffer>()  // tol
                           .Arg<ffi::AnyBuffer>()  // limit
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
