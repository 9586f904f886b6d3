// SPDX-License-Identifier: MIT
// CUDA handler of the certificate, the part of the solver of images (jaxtv/_plain/tvnd.py) that
// has kernels here beside its line solves. Its last result is work space.
#include "cuda/common/call.h"
#include "cuda/images/certificate.h"
#include "cuda/images/operands.h"
#include "cuda/images/work_space.h"
#include "ffi/handlers.h"
#include "ffi/images.h"

namespace jaxtv {
namespace {

template <typename T>
const T* Data(ffi::AnyBuffer buffer) {
  return static_cast<const T*>(buffer.untyped_data());
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
  const int64_t needed =
      ImageSpaceBytes(x, count, cuda::kCertificateSampleBytes, cuda::kCertificateAxisBytes);
  if (auto error = cuda::CheckWorkSpace(*scratch, needed); error.failure()) return error;
  if (x.element_count() == 0) return ffi::Error::Success();
  cuda::CallScope scope;
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

// Nothing is allocated and nothing waits, so that XLA may record the launches in a CUDA graph.
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

Handlers TvndHandlers() { return {{"jaxtv_certify", kCertify}}; }

}  // namespace jaxtv
