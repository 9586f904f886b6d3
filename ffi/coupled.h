// SPDX-License-Identifier: MIT
// From FFI buffers to images whose differences are coupled: the operands of both platforms.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ffi/images.h"

namespace jaxtv {

// The images of a call: the last axes, of which the first is that of the channels.
struct CoupledImages {
  ffi::AnyBuffer x;
  ffi::Span<const int64_t> axes;
  Images images;

  static ffi::ErrorOr<CoupledImages> Of(ffi::AnyBuffer x, ffi::Span<const int64_t> axes) {
    const int64_t rank = int64_t(x.dimensions().size()), count = int64_t(axes.size());
    bool last = count >= 2;
    for (int64_t k = 0; k < count; ++k) last = last && axes[size_t(k)] == rank - count + k;
    if (!last) {
      return ffi::Unexpected(ffi::Error::InvalidArgument(
          "jaxtv: axes must be the last ones of x, of shape " + ToString(x.dimensions())));
    }
    auto images = ImagesOf(x.dimensions(), axes);
    if (images.has_error()) return ffi::Unexpected(images.error());
    return CoupledImages{x, axes, std::move(*images)};
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

  // The strides of an operand with a number for each image.
  ffi::ErrorOr<Strides> Numbers(ffi::AnyBuffer operand, ffi::DataType type,
                                const char* name) const {
    if (operand.element_type() != type) {
      return ffi::Unexpected(
          ffi::Error::InvalidArgument(std::string("jaxtv: the ") + name + " has a wrong dtype"));
    }
    return PerImage(operand.dimensions(), x.dimensions(), axes, name);
  }
};

// One of `groups` groups of operands, of which each has one for every axis of an image.
struct AxisOperands {
  std::vector<ffi::AnyBuffer> buffers;
  std::vector<Strides> strides;

  static ffi::ErrorOr<AxisOperands> Of(const CoupledImages& call, ffi::RemainingArgs args,
                                       size_t group, size_t groups, const char* name,
                                       bool channels) {
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
};

// The results for each axis of an image, of the shape of x. `others` results follow them.
inline ffi::ErrorOr<std::vector<ffi::AnyBuffer>> DualResults(const CoupledImages& call,
                                                             ffi::RemainingRets rets,
                                                             size_t others) {
  if (rets.size() + 1 != call.axes.size() + others) {
    return ffi::Unexpected(ffi::Error::InvalidArgument("jaxtv: expected a dual for each axis"));
  }
  std::vector<ffi::AnyBuffer> duals;
  for (size_t a = 0; a + 1 < call.axes.size(); ++a) {
    auto ret = rets.get<ffi::AnyBuffer>(a);
    if (ret.has_error()) return ffi::Unexpected(ret.error());
    if (auto error = CheckLike(call.x, **ret, "a dual"); error.failure()) {
      return ffi::Unexpected(error);
    }
    duals.push_back(**ret);
  }
  return duals;
}

}  // namespace jaxtv
