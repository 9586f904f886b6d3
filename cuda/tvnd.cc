// SPDX-License-Identifier: MIT
// CUDA handlers of the mean over components, with the operands and attributes of cpu/tvnd.cc, and
// of the certificate, which there is a part of the solver. Their last result is work space.
#include "cuda/tvnd.h"

#include "cuda/call.h"
#include "cuda/regime.h"
#include "ffi/handlers.h"
#include "ffi/images.h"

namespace jaxtv {
namespace {

using cuda::CallScope;

ffi::Error CheckSpace(ffi::AnyBuffer x, ffi::AnyBuffer scratch, int64_t per_sample,
                      int64_t per_axis, size_t axes) {
  const int64_t needed = int64_t(x.element_count()) * (per_sample + per_axis * int64_t(axes));
  if (int64_t(scratch.size_bytes()) >= needed) return ffi::Error::Success();
  return ffi::Error::InvalidArgument("jaxtv: the work space is too small");
}

// Axes of one sample have no edges; one axis is kept, so that there are lines.
std::vector<size_t> AxesWithEdges(const Image& image) {
  std::vector<size_t> axes;
  for (size_t a = 0; a < image.size.size(); ++a) {
    const bool kept = axes.empty() && a + 1 == image.size.size();
    if (image.size[a] > 1 || kept) axes.push_back(a);
  }
  return axes;
}

template <typename T>
const T* Data(ffi::AnyBuffer buffer) {
  return static_cast<const T*>(buffer.untyped_data());
}

template <typename T>
ffi::ErrorOr<cuda::TvAxis<T>> AxisOf(ffi::AnyBuffer::Dimensions dims, int64_t axis,
                                     ffi::AnyBuffer lam) {
  const auto lines = LinesAlong(dims, axis);
  if (lines.has_error()) return ffi::Unexpected(lines.error());
  const auto weights = WeightsAlong(lam.dimensions(), dims, axis);
  if (weights.has_error()) return ffi::Unexpected(weights.error());
  return cuda::TvAxis<T>{*lines, *weights, Data<T>(lam)};
}

ffi::Error ComponentMean(cudaStream_t stream, ffi::AnyBuffer y, ffi::AnyBuffer v,
                         ffi::RemainingArgs lams, ffi::Result<ffi::AnyBuffer> mean,
                         ffi::Result<ffi::AnyBuffer> scratch, ffi::Span<const int64_t> axes) try {
  const auto images = ImagesOf(y.dimensions(), axes);
  if (images.has_error()) return images.error();
  const auto edge = PerEdge(lams, 0, 1, y, axes, "lam");
  if (edge.has_error()) return edge.error();
  if (auto error = CheckLike(y, v, "v"); error.failure()) return error;
  if (auto error = CheckLike(y, *mean, "the result"); error.failure()) return error;
  if (auto error = CheckSpace(y, *scratch, cuda::kComponentSampleBytes, cuda::kComponentAxisBytes,
                              axes.size());
      error.failure()) {
    return error;
  }
  if (y.element_count() == 0) return ffi::Error::Success();
  CallScope scope;
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
    return cuda::ToError(cuda::ComponentMean(stream, tv_axes, Data<T>(y), Data<T>(v),
                                             static_cast<T*>(mean->untyped_data()),
                                             scratch->untyped_data()));
  });
} catch (const std::exception& e) {
  return Caught(e);
}

// The lines along axes[a] of each image: those of image i are at first[i] + member[j].
ffi::Error SetMembers(ffi::AnyBuffer::Dimensions dims, ffi::Span<const int64_t> axes, size_t a,
                      WeightLayout* first, WeightLayout* member, int64_t* members) {
  *members = 1;
  int64_t stride = 1;
  size_t next = axes.size();
  for (int64_t d = int64_t(dims.size()) - 1; d >= 0; --d) {
    const bool image = next > 0 && axes[next - 1] == d;
    next -= image;
    if (d == axes[a]) continue;
    if (!PushDimension(dims[d], stride, image ? member : first)) {
      return ffi::Error::InvalidArgument("jaxtv: axes for shape " + ToString(dims) +
                                         " are too many that are not neighbours");
    }
    if (image) *members *= dims[d];
    stride *= dims[d];
  }
  OuterFirst(first);
  OuterFirst(member);
  return ffi::Error::Success();
}

ffi::Error Certify(cudaStream_t stream, ffi::AnyBuffer x, ffi::Buffer<ffi::PRED> vote,
                   ffi::RemainingArgs rest, ffi::Result<ffi::AnyBuffer> z,
                   ffi::Result<ffi::AnyBuffer> gap, ffi::Result<ffi::AnyBuffer> bound,
                   ffi::Result<ffi::AnyBuffer> scratch, ffi::Span<const int64_t> axes) try {
  const auto images = ImagesOf(x.dimensions(), axes);
  if (images.has_error()) return images.error();
  const size_t count = axes.size();
  const auto votes = PerImage(vote.dimensions(), x.dimensions(), axes, "vote");
  if (votes.has_error()) return votes.error();
  if (rest.size() != 3 * count) {
    return ffi::Error::InvalidArgument("jaxtv: each axis needs a result, a dual and a weight");
  }
  std::vector<ffi::AnyBuffer> operands;
  for (size_t i = 0; i < rest.size(); ++i) {
    const auto operand = rest.get<ffi::AnyBuffer>(i);
    if (operand.has_error()) return operand.error();
    operands.push_back(*operand);
    const bool is_lam = i >= 2 * count;
    if (is_lam && operand->element_type() != x.element_type()) {
      return ffi::Error::InvalidArgument("jaxtv: every lam must have the dtype of x");
    }
    if (is_lam) continue;
    if (auto error = CheckLike(x, *operand, "a result or dual"); error.failure()) return error;
  }
  if (auto error = CheckLike(x, *z, "the point"); error.failure()) return error;
  for (const auto& number : {*gap, *bound}) {
    if (int64_t(number.element_count()) != images->count ||
        number.element_type() != x.element_type()) {
      return ffi::Error::InvalidArgument(
          "jaxtv: gap and bound are one number of x's dtype per image");
    }
  }
  if (auto error = CheckSpace(x, *scratch, cuda::kCertificateSampleBytes,
                              cuda::kCertificateAxisBytes, count);
      error.failure()) {
    return error;
  }
  if (x.element_count() == 0) return ffi::Error::Success();
  CallScope scope;
  scope.Input(x, "x");
  scope.Input(vote, "vote");
  for (size_t i = 0; i < operands.size(); ++i) {
    scope.Input(operands[i], i < count ? "result" : i < 2 * count ? "dual" : "lam");
  }
  scope.Output(*z, "z");
  scope.Output(*gap, "gap");
  scope.Output(*bound, "bound");
  scope.Output(*scratch, "scratch");
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    std::vector<cuda::SolvedAxis<T>> solved;
    for (const size_t a : AxesWithEdges(images->image)) {
      auto axis = AxisOf<T>(x.dimensions(), axes[a], operands[2 * count + a]);
      if (axis.has_error()) return axis.error();
      cuda::SolvedAxis<T> one{*axis, Data<T>(operands[a]), Data<T>(operands[count + a]), {}, {}, 1,
                              {}};
      const auto votes = WeightsAlong(vote.dimensions(), x.dimensions(), axes[a]);
      if (votes.has_error()) return votes.error();
      one.votes = *votes;
      if (auto error = SetMembers(x.dimensions(), axes, a, &one.first, &one.member, &one.members);
          error.failure()) {
        return error;
      }
      solved.push_back(one);
    }
    return cuda::ToError(
        cuda::Certify(stream, solved, images->count, vote.typed_data(), Data<T>(x),
                      static_cast<T*>(z->untyped_data()), static_cast<T*>(gap->untyped_data()),
                      static_cast<T*>(bound->untyped_data()), scratch->untyped_data()));
  });
} catch (const std::exception& e) {
  return Caught(e);
}

// As in tv1d.cc: XLA may record the launches in a CUDA graph.
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

XLA_FFI_DEFINE_HANDLER(kCertify, Certify,
                       ffi::Ffi::Bind()
                           .Ctx<cuda::Stream>()
                           .Arg<ffi::AnyBuffer>()          // x
                           .Arg<ffi::Buffer<ffi::PRED>>()  // vote
                           .RemainingArgs()                // results, duals, lam, one each per axis
                           .Ret<ffi::AnyBuffer>()          // z
                           .Ret<ffi::AnyBuffer>()          // gap
                           .Ret<ffi::AnyBuffer>()          // bound
                           .Ret<ffi::AnyBuffer>()          // scratch
                           .Attr<ffi::Span<const int64_t>>("axes"),
                       {ffi::Traits::kCmdBufferCompatible});

}  // namespace

Handlers TvndHandlers() {
  return {{"jaxtv_component_mean", kComponentMean}, {"jaxtv_certify", kCertify}};
}

}  // namespace jaxtv
