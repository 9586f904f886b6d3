// SPDX-License-Identifier: MIT
// CUDA handler of the sweeps over images with their certificates, all of the solver of images
// (jaxtv/_plain/tvnd.py) but its scaling. Its last result is work space.
#include "cuda/common/call.h"
#include "cuda/images/operands.h"
#include "cuda/images/solve.h"
#include "cuda/images/work_space.h"
#include "ffi/handlers.h"
#include "ffi/images.h"

namespace jaxtv {
namespace {

using Dimensions = ffi::AnyBuffer::Dimensions;

// The shape of an array with one number for each image.
std::vector<int64_t> NumberShape(Dimensions x, ffi::Span<const int64_t> axes) {
  std::vector<int64_t> shape(x.begin(), x.end());
  for (const int64_t axis : axes) shape[size_t(axis)] = 1;
  return shape;
}

// The lines along an axis of each image: those of image i are at first[i] + member[j].
template <typename T>
ffi::Error SetMembers(Dimensions dims, ffi::Span<const int64_t> axes, int64_t along,
                      cuda::SolvedAxis<T>* axis) {
  axis->members = 1;
  int64_t stride = 1;
  size_t next = axes.size();
  for (int64_t d = int64_t(dims.size()) - 1; d >= 0; --d) {
    const bool image = next > 0 && axes[next - 1] == d;
    next -= image;
    if (d == along) continue;
    if (!PushDimension(dims[d], stride, image ? &axis->member : &axis->first)) {
      return ffi::Error::InvalidArgument("jaxtv: axes for shape " + ToString(dims) +
                                         " are too many that are not neighbours");
    }
    if (image) axis->members *= dims[d];
    stride *= dims[d];
  }
  OuterFirst(&axis->first);
  OuterFirst(&axis->member);
  return ffi::Error::Success();
}

// The operands and results of a call. There are `count` axes.
struct Call {
  ffi::AnyBuffer x, target, rounding;
  ffi::AnyBuffer max_sweeps, first_test, first_union;
  ffi::RemainingArgs arrays;  // lam, then the dual to start from, one each per axis
  ffi::AnyBuffer y;
  std::vector<ffi::AnyBuffer> reals, integers;  // results per image, in order
  ffi::AnyBuffer active;
  ffi::RemainingRets images;  // results, duals, duals before, work space
  ffi::Span<const int64_t> axes;
  size_t count;

  ffi::AnyBuffer Lam(size_t a) const { return *arrays.get<ffi::AnyBuffer>(a); }
  ffi::AnyBuffer Start(size_t a) const { return *arrays.get<ffi::AnyBuffer>(count + a); }
  ffi::AnyBuffer ImageAt(size_t k) const {
    auto result = images.get<ffi::AnyBuffer>(k);
    return **result;
  }
  ffi::AnyBuffer Result(size_t a) const { return ImageAt(a); }
  ffi::AnyBuffer Dual(size_t a) const { return ImageAt(count + a); }
  ffi::AnyBuffer Previous(size_t a) const { return ImageAt(2 * count + a - 1); }
  ffi::AnyBuffer Scratch() const { return ImageAt(3 * count - 1); }

  ffi::Error Check() const {
    if (arrays.size() != 2 * count || images.size() != 3 * count) {
      return ffi::Error::InvalidArgument(
          "jaxtv: each axis needs a weight and a dual to start from, and has three results");
    }
    const std::vector<int64_t> shape = NumberShape(x.dimensions(), axes);
    const auto check = [&](const ffi::AnyBuffer& numbers, ffi::DataType type) {
      if (numbers.element_type() == type &&
          ToString(numbers.dimensions()) == ToString({shape.data(), shape.size()})) {
        return ffi::Error::Success();
      }
      return ffi::Error::InvalidArgument("jaxtv: numbers of images must have shape " +
                                         ToString({shape.data(), shape.size()}) + ", got " +
                                         ToString(numbers.dimensions()) + ", or have another type");
    };
    std::vector<ffi::AnyBuffer> floats{target, rounding}, ints{max_sweeps, first_test, first_union};
    floats.insert(floats.end(), reals.begin(), reals.end());
    ints.insert(ints.end(), integers.begin(), integers.end());
    for (const auto& each : floats) {
      if (auto error = check(each, x.element_type()); error.failure()) return error;
    }
    for (const auto& each : ints) {
      if (auto error = check(each, ffi::S32); error.failure()) return error;
    }
    if (auto error = check(active, ffi::PRED); error.failure()) return error;
    for (size_t a = 0; a < count; ++a) {
      if (Lam(a).element_type() != x.element_type()) {
        return ffi::Error::InvalidArgument("jaxtv: every lam must have the dtype of x");
      }
      if (auto error = CheckLike(x, Start(a), "a dual"); error.failure()) return error;
    }
    for (size_t k = 0; k + 1 < images.size(); ++k) {
      if (auto error = CheckLike(x, ImageAt(k), "a result"); error.failure()) return error;
    }
    return CheckLike(x, y, "the point");
  }

  void Declare(cuda::CallScope* scope) const {
    for (const auto& each : {x, target, rounding, max_sweeps, first_test, first_union}) {
      scope->Input(each, "an operand");
    }
    for (size_t a = 0; a < count; ++a) {
      scope->Input(Lam(a), "lam");
      scope->Input(Start(a), "a dual");
    }
    for (const auto& each : reals) scope->Output(each, "a result of images");
    for (const auto& each : integers) scope->Output(each, "a result of images");
    scope->Output(active, "active");
    scope->Output(y, "y");
    for (size_t k = 0; k < images.size(); ++k) scope->Output(ImageAt(k), "a result");
  }

  template <typename T>
  ffi::ErrorOr<cuda::SolveOperands<T>> Operands(const Images& all) const {
    const auto data = [](const ffi::AnyBuffer& b) { return static_cast<T*>(b.untyped_data()); };
    const auto ints = [](const ffi::AnyBuffer& b) { return static_cast<int*>(b.untyped_data()); };
    cuda::SolveOperands<T> p;
    p.x = data(x);
    p.y = data(y);
    p.images = all.count;
    p.scratch = Scratch().untyped_data();
    p.numbers = {data(target),
                 data(rounding),
                 ints(max_sweeps),
                 ints(first_test),
                 ints(first_union),
                 data(reals[0]),
                 data(reals[1]),
                 data(reals[2]),
                 data(reals[3]),
                 data(reals[4]),
                 data(reals[5]),
                 ints(integers[0]),
                 ints(integers[1]),
                 ints(integers[2]),
                 static_cast<bool*>(active.untyped_data()),
                 nullptr,
                 nullptr};
    const Dimensions dims = x.dimensions();
    const std::vector<int64_t> shape = NumberShape(dims, axes);
    for (const size_t a : AxesWithEdges(all.image)) {
      auto axis = AxisOf<T>(dims, axes[a], Lam(a));
      if (axis.has_error()) return ffi::Unexpected(axis.error());
      cuda::SolvedAxis<T> solved{*axis, nullptr, data(Result(a)), data(Dual(a)), nullptr, {},
                                 {},    1};
      if (!p.axes.empty()) solved.previous = data(Previous(a));
      if (auto error = SetMembers(dims, axes, axes[a], &solved); error.failure()) {
        return ffi::Unexpected(error);
      }
      if (p.axes.empty()) {
        const auto image = WeightsAlong({shape.data(), shape.size()}, dims, axes[a]);
        if (image.has_error()) return ffi::Unexpected(image.error());
        p.image_of = *image;
      }
      p.axes.push_back(solved);
      p.start.push_back(data(Start(a)));
    }
    return p;
  }
};

ffi::Error Alternating(cudaStream_t stream, ffi::AnyBuffer x, ffi::AnyBuffer target,
                       ffi::AnyBuffer rounding, ffi::AnyBuffer max_sweeps,
                       ffi::AnyBuffer first_test, ffi::AnyBuffer first_union,
                       ffi::RemainingArgs arrays, ffi::Result<ffi::AnyBuffer> y,
                       ffi::Result<ffi::AnyBuffer> gap, ffi::Result<ffi::AnyBuffer> bound,
                       ffi::Result<ffi::AnyBuffer> count, ffi::Result<ffi::AnyBuffer> momentum,
                       ffi::Result<ffi::AnyBuffer> energy, ffi::Result<ffi::AnyBuffer> moved,
                       ffi::Result<ffi::AnyBuffer> near, ffi::Result<ffi::AnyBuffer> due,
                       ffi::Result<ffi::AnyBuffer> vain, ffi::Result<ffi::AnyBuffer> active,
                       ffi::RemainingRets rets, ffi::Span<const int64_t> axes) try {
  const auto images = ImagesOf(x.dimensions(), axes);
  if (images.has_error()) return images.error();
  const Call call{x,
                  target,
                  rounding,
                  max_sweeps,
                  first_test,
                  first_union,
                  arrays,
                  *y,
                  {*gap, *bound, *momentum, *energy, *moved, *near},
                  {*count, *due, *vain},
                  *active,
                  rets,
                  axes,
                  axes.size()};
  if (auto error = call.Check(); error.failure()) return error;
  const int64_t needed =
      ImageSpaceBytes(x, axes.size(), cuda::kSolveSampleBytes, cuda::kSolveAxisBytes) +
      images->count * cuda::kSolveImageBytes;
  if (auto error = cuda::CheckWorkSpace(call.Scratch(), needed); error.failure()) return error;
  if (x.element_count() == 0) return ffi::Error::Success();
  cuda::CallScope scope;
  call.Declare(&scope);
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const auto operands = call.Operands<T>(*images);
    if (operands.has_error()) return operands.error();
    return cuda::ToError(cuda::SolveImages<T>(stream, *operands));
  });
} catch (const std::exception& e) {
  return Caught(e);
}

// Not for CUDA graphs: the host waits for what the device decides. It does not for images on chip
// (solve_on_chip.h); but a target for these alone would need their rule in the lowering too, where
// the number of images of a sharded array, a part of it, is not known.
XLA_FFI_DEFINE_HANDLER(kAlternating, Alternating,
                       ffi::Ffi::Bind()
                           .Ctx<cuda::Stream>()
                           .Arg<ffi::AnyBuffer>()  // x
                           .Arg<ffi::AnyBuffer>()  // target
                           .Arg<ffi::AnyBuffer>()  // rounding
                           .Arg<ffi::AnyBuffer>()  // max_sweeps
                           .Arg<ffi::AnyBuffer>()  // first_test
                           .Arg<ffi::AnyBuffer>()  // first_union
                           .RemainingArgs()        // lam, dual to start from, one each per axis
                           .Ret<ffi::AnyBuffer>()  // y
                           .Ret<ffi::AnyBuffer>()  // gap
                           .Ret<ffi::AnyBuffer>()  // bound
                           .Ret<ffi::AnyBuffer>()  // count
                           .Ret<ffi::AnyBuffer>()  // momentum
                           .Ret<ffi::AnyBuffer>()  // energy
                           .Ret<ffi::AnyBuffer>()  // moved
                           .Ret<ffi::AnyBuffer>()  // near
                           .Ret<ffi::AnyBuffer>()  // due
                           .Ret<ffi::AnyBuffer>()  // vain
                           .Ret<ffi::AnyBuffer>()  // active
                           .RemainingRets()        // results, duals, duals before, and work space
                           .Attr<ffi::Span<const int64_t>>("axes"));

}  // namespace

Handlers AlternatingHandlers() { return {{"jaxtv_alternating", kAlternating}}; }

}  // namespace jaxtv
