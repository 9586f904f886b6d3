// SPDX-License-Identifier: MIT
// From FFI buffers to lines: every operand of a handler is checked here, once for all handlers.
// Python has checked the same with better words; these checks keep a wrong call from crashing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "core/line.h"
#include "xla/ffi/api/ffi.h"

namespace jaxtv {

namespace ffi = xla::ffi;

inline std::string ToString(ffi::AnyBuffer::Dimensions dims) {
  std::string text = "[";
  for (size_t d = 0; d < dims.size(); ++d) {
    text += (d ? ", " : "") + std::to_string(dims[d]);
  }
  return text + "]";
}

// The type that arrays of a type are computed in, and that their weights have.
inline ffi::DataType ComputedIn(ffi::DataType type) {
  return type == ffi::F16 || type == ffi::BF16 ? ffi::F32 : type;
}

// The lines of an array of shape `dims` along `axis`.
inline ffi::ErrorOr<Lines> LinesAlong(ffi::AnyBuffer::Dimensions dims, int64_t axis) {
  if (axis < 0 || axis >= int64_t(dims.size())) {
    return ffi::Unexpected(ffi::Error::InvalidArgument(
        "jaxtv: axis " + std::to_string(axis) + " is out of range for shape " + ToString(dims)));
  }
  Lines lines{1, dims[axis], 1};
  for (int64_t d = 0; d < axis; ++d) lines.outer *= dims[d];
  for (size_t d = axis + 1; d < dims.size(); ++d) lines.inner *= dims[d];
  return lines;
}

// Adds a dimension of `size` samples, `stride` elements apart, to a layout that is collected from
// the inside out. False if it has no room.
inline bool PushDimension(int64_t size, int64_t stride, WeightLayout* layout) {
  const int last = layout->rank - 1;
  if (size == 1) return true;  // contributes nothing
  if (last >= 0 && stride == layout->stride[last] * layout->size[last]) {
    layout->size[last] *= size;
    return true;
  }
  if (layout->rank == WeightLayout::kMaxDims) return false;
  layout->size[layout->rank] = size;
  layout->stride[layout->rank++] = stride;
  return true;
}

// `WeightLayout::At` wants the outer dimensions first.
inline void OuterFirst(WeightLayout* layout) {
  std::reverse(layout->size, layout->size + layout->rank);
  std::reverse(layout->stride, layout->stride + layout->rank);
}

// How an array that broadcasts lies against lines of an array of shape `x` along `axis`: of shape
// `given`, with size 1 or `along`, which is `size` in words, along that.
inline ffi::ErrorOr<WeightLayout> BroadcastAlong(const char* name, ffi::AnyBuffer::Dimensions given,
                                                 ffi::AnyBuffer::Dimensions x, int64_t axis,
                                                 int64_t along, const char* size) {
  const auto refuse = [&](const std::string& why) {
    return ffi::Unexpected(
        ffi::Error::InvalidArgument(std::string("jaxtv: ") + name + " of shape " + ToString(given) +
                                    " does not fit x of shape " + ToString(x) + " along axis " +
                                    std::to_string(axis) + ": " + why));
  };
  if (given.size() != x.size()) return refuse("the ranks differ");

  WeightLayout layout;
  int64_t stride = 1;
  // From the last dimension to the first, merging neighbours that are both full or both size 1.
  for (int64_t d = int64_t(x.size()) - 1; d >= 0; --d) {
    if (d == axis) {
      if (given[d] != 1 && given[d] != along) {
        return refuse(std::string("it needs size 1 or ") + size + " there");
      }
      layout.edge_stride = given[d] == 1 ? 0 : stride;
    } else {
      if (given[d] != 1 && given[d] != x[d]) {
        return refuse("each dimension needs size 1 or that of x");
      }
      if (!PushDimension(x[d], given[d] == 1 ? 0 : stride, &layout)) {
        return refuse("it broadcasts along too many separate dimensions");
      }
    }
    stride *= given[d];
  }
  OuterFirst(&layout);
  return layout;
}

// How weights of shape `lam` lie against lines of an array of shape `x` along `axis`.
inline ffi::ErrorOr<WeightLayout> WeightsAlong(ffi::AnyBuffer::Dimensions lam,
                                               ffi::AnyBuffer::Dimensions x, int64_t axis) {
  return BroadcastAlong("lam", lam, x, axis, std::max<int64_t>(x[axis] - 1, 0), "length - 1");
}

// An error unless `other` has the shape and dtype of `x`, or a half type that is computed in that.
inline ffi::Error CheckLike(ffi::AnyBuffer x, ffi::AnyBuffer other, const char* name,
                            bool or_half = false) {
  const auto type = or_half ? ComputedIn(other.element_type()) : other.element_type();
  if (type != x.element_type() || ToString(other.dimensions()) != ToString(x.dimensions())) {
    return ffi::Error::InvalidArgument(
        std::string("jaxtv: ") + name + " of shape " + ToString(other.dimensions()) +
        " must have the shape and dtype of x, " + ToString(x.dimensions()));
  }
  return ffi::Error::Success();
}

// The operands of a TV prox that fit each other: lines of x, with weights lam, and a result like x.
struct ProxLayout {
  Lines lines;
  WeightLayout weights;

  static ffi::ErrorOr<ProxLayout> Of(ffi::AnyBuffer x, ffi::AnyBuffer lam, ffi::AnyBuffer y,
                                     int64_t axis) {
    const auto lines = LinesAlong(x.dimensions(), axis);
    if (lines.has_error()) return ffi::Unexpected(lines.error());
    const auto weights = WeightsAlong(lam.dimensions(), x.dimensions(), axis);
    if (weights.has_error()) return ffi::Unexpected(weights.error());
    if (lam.element_type() != ComputedIn(x.element_type())) {
      return ffi::Unexpected(ffi::Error::InvalidArgument(
          "jaxtv: lam must have the dtype of x, of half types float32"));
    }
    if (auto error = CheckLike(x, y, "the result"); error.failure()) return ffi::Unexpected(error);
    return ProxLayout{*lines, *weights};
  }
};

// The operands of a TV prox with a mass on each sample.
struct MassLayout {
  Lines lines;
  WeightLayout weights, masses;

  static ffi::ErrorOr<MassLayout> Of(ffi::AnyBuffer x, ffi::AnyBuffer lam, ffi::AnyBuffer mass,
                                     ffi::AnyBuffer y, int64_t axis) {
    const auto prox = ProxLayout::Of(x, lam, y, axis);
    if (prox.has_error()) return ffi::Unexpected(prox.error());
    const auto dims = x.dimensions();
    const auto masses =
        BroadcastAlong("mass", mass.dimensions(), dims, axis, dims[axis], "the length");
    if (masses.has_error()) return ffi::Unexpected(masses.error());
    if (mass.element_type() != x.element_type()) {
      return ffi::Unexpected(ffi::Error::InvalidArgument("jaxtv: mass must have the dtype of x"));
    }
    return MassLayout{prox->lines, prox->weights, *masses};
  }
};

// The operands of the derivative of a TV prox y along `axis`, pulled back from v, which may have a
// half type that is computed in that of y if `or_half`.
inline ffi::ErrorOr<ProxLayout> LayoutOfPullBack(ffi::AnyBuffer y, ffi::AnyBuffer lam,
                                                 ffi::AnyBuffer v, ffi::AnyBuffer x_bar,
                                                 ffi::AnyBuffer lam_bar, int64_t axis,
                                                 bool or_half = false) {
  const auto layout = ProxLayout::Of(y, lam, y, axis);
  if (layout.has_error()) return ffi::Unexpected(layout.error());
  if (auto error = CheckLike(y, v, "v", or_half); error.failure()) return ffi::Unexpected(error);
  if (auto error = CheckLike(v, x_bar, "the result"); error.failure()) {
    return ffi::Unexpected(error);
  }
  const auto wanted = y.dimensions(), given = lam_bar.dimensions();
  bool fits = lam_bar.element_type() == y.element_type() && given.size() == wanted.size();
  for (int64_t d = 0; fits && d < int64_t(wanted.size()); ++d) {
    fits = given[d] == (d == axis ? lam.dimensions()[d] : wanted[d]);
  }
  if (fits) return *layout;
  return ffi::Unexpected(ffi::Error::InvalidArgument(
      "jaxtv: lam_bar of shape " + ToString(given) + " must have the dtype of x and its shape, " +
      ToString(wanted) + ", but along axis " + std::to_string(axis) + " the size of lam"));
}

// The results and attributes of a prox by Newton steps.
inline ffi::Error CheckNewton(const Lines& lines, size_t num_steps, int64_t max_steps) {
  if (int64_t(num_steps) != lines.count()) {
    return ffi::Error::InvalidArgument("jaxtv: steps must have one element per line");
  }
  if (max_steps < 0 || max_steps > INT32_MAX) {
    return ffi::Error::InvalidArgument("jaxtv: max_steps must be in [0, 2^31)");
  }
  return ffi::Error::Success();
}

// Calls run(T{}) with the C++ type of a buffer's elements.
template <typename Run>
ffi::Error DispatchFloat(ffi::DataType type, const Run& run) {
  switch (type) {
    case ffi::F32:
      return run(float{});
    case ffi::F64:
      return run(double{});
    default:
      return ffi::Error::InvalidArgument("jaxtv: only float32 and float64 buffers are computed");
  }
}

}  // namespace jaxtv
