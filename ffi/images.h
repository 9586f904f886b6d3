// SPDX-License-Identifier: MIT
// From FFI buffers to images: an array of which some axes are those of an image and all others are
// batch axes, with operands that broadcast against it. Every operand is checked here.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/image.h"
#include "ffi/operands.h"

namespace jaxtv {

// Where the elements of an operand lie, by batch axis and by image axis; 0 where it broadcasts.
struct Strides {
  std::vector<int64_t> batch, image;
};

struct Images {
  Image image;
  std::vector<int64_t> batch;  // extents of the batch axes
  int64_t count;               // the number of images

  // The first element of an image in an operand.
  int64_t Offset(const Strides& strides, int64_t index) const {
    int64_t offset = 0;
    for (size_t d = batch.size(); d-- > 0; index /= batch[d]) {
      offset += index % batch[d] * strides.batch[d];
    }
    return offset;
  }

  // Calls f(pixel, offset) for each pixel of an image, in order.
  template <typename F>
  void ForPixels(const Strides& strides, const F& f) const {
    const int64_t length = image.size.back(), rows = image.pixels() / length;
    for (int64_t row = 0; row < rows; ++row) {
      int64_t offset = 0, rest = row;
      for (int a = image.axes() - 2; a >= 0; rest /= image.size[a--]) {
        offset += rest % image.size[a] * strides.image[a];
      }
      for (int64_t i = 0; i < length; ++i) {
        f(row * length + i, offset + i * strides.image.back());
      }
    }
  }

  // Whether an operand of the shape of x has the pixels of an image next to each other.
  bool Contiguous(const Strides& strides) const {
    for (int a = 0; a < image.axes(); ++a) {
      if (image.size[a] > 1 && strides.image[a] != image.Along(a).inner) return false;
    }
    return true;
  }
};

inline ffi::ErrorOr<Images> ImagesOf(ffi::AnyBuffer::Dimensions dims,
                                     ffi::Span<const int64_t> axes) {
  const auto refuse = [&](const std::string& why) {
    return ffi::Unexpected(
        ffi::Error::InvalidArgument("jaxtv: axes for shape " + ToString(dims) + " " + why));
  };
  if (axes.size() == 0) return refuse("must not be empty");
  Images images{{}, {}, 1};
  size_t next = 0;
  for (int64_t d = 0; d < int64_t(dims.size()); ++d) {
    if (next < axes.size() && axes[next] == d) {
      images.image.size.push_back(dims[d]);
      ++next;
    } else {
      images.batch.push_back(dims[d]);
      images.count *= dims[d];
    }
  }
  if (next != axes.size()) return refuse("must be ascending and in range");
  if (images.image.pixels() >= int64_t(1) << 31) {
    return refuse("make images of 2^31 pixels or more");
  }
  return images;
}

// How an operand broadcasts against an array of shape `x`. Along a batch axis it has the size of x
// or 1; along an image axis 1, or what `image_size(axis, size of x)` says.
template <typename ImageSize>
ffi::ErrorOr<Strides> StridesOf(ffi::AnyBuffer::Dimensions dims, ffi::AnyBuffer::Dimensions x,
                                ffi::Span<const int64_t> axes, const char* name,
                                const ImageSize& image_size) {
  const auto refuse = [&](const std::string& why) {
    return ffi::Unexpected(
        ffi::Error::InvalidArgument(std::string("jaxtv: ") + name + " of shape " + ToString(dims) +
                                    " does not fit x of shape " + ToString(x) + ": " + why));
  };
  if (dims.size() != x.size()) return refuse("the ranks differ");
  std::vector<int64_t> all(dims.size());
  int64_t stride = 1;
  for (size_t d = dims.size(); d-- > 0;) {
    all[d] = dims[d] == 1 ? 0 : stride;
    stride *= dims[d];
  }
  Strides strides;
  size_t next = 0;
  for (int64_t d = 0; d < int64_t(dims.size()); ++d) {
    const bool image = next < axes.size() && axes[next] == d;
    next += image;
    (image ? strides.image : strides.batch).push_back(all[d]);
    if (dims[d] != 1 && dims[d] != (image ? image_size(d, x[d]) : x[d])) {
      return refuse("dimension " + std::to_string(d) + " has another size");
    }
  }
  return strides;
}

// The strides of an operand that is one number per image.
inline ffi::ErrorOr<Strides> PerImage(ffi::AnyBuffer::Dimensions dims, ffi::AnyBuffer::Dimensions x,
                                      ffi::Span<const int64_t> axes, const char* name) {
  return StridesOf(dims, x, axes, name, [](int64_t, int64_t) { return int64_t(1); });
}

// The strides of an operand that is a full array, as x is.
inline ffi::ErrorOr<Strides> PerPixel(ffi::AnyBuffer::Dimensions x, ffi::Span<const int64_t> axes) {
  return StridesOf(x, x, axes, "x", [](int64_t, int64_t size) { return size; });
}

// The edges along an axis of an array of shape `x`.
inline int64_t EdgeCount(ffi::AnyBuffer x, int64_t axis) {
  const int64_t n = x.dimensions()[size_t(axis)];
  return n == 0 ? 0 : int64_t(x.element_count()) / n * (n - 1);
}

// The strides of a buffer with an element for each edge along axes[a].
inline ffi::ErrorOr<Strides> EdgeStrides(ffi::AnyBuffer edges, ffi::AnyBuffer x,
                                         ffi::Span<const int64_t> axes, size_t a,
                                         const char* name) {
  if (edges.element_type() != x.element_type()) {
    return ffi::Unexpected(ffi::Error::InvalidArgument(std::string("jaxtv: every ") + name +
                                                       " must have the dtype of x"));
  }
  return StridesOf(edges.dimensions(), x.dimensions(), axes, name, [&](int64_t d, int64_t size) {
    return d == axes[a] ? std::max<int64_t>(size - 1, 0) : size;
  });
}

// The strides of one of `groups` groups of operands, which each have one operand per axis.
inline ffi::ErrorOr<std::vector<Strides>> PerEdge(ffi::RemainingArgs args, size_t group,
                                                  size_t groups, ffi::AnyBuffer x,
                                                  ffi::Span<const int64_t> axes, const char* name) {
  if (args.size() != groups * axes.size()) {
    return ffi::Unexpected(ffi::Error::InvalidArgument(
        "jaxtv: " + std::to_string(args.size()) + " operands where each of " +
        std::to_string(axes.size()) + " axes needs a " + name));
  }
  const size_t begin = group * axes.size();
  std::vector<Strides> all;
  for (size_t a = 0; a < axes.size(); ++a) {
    const auto edges = args.get<ffi::AnyBuffer>(begin + a);
    if (edges.has_error()) return ffi::Unexpected(edges.error());
    auto strides = EdgeStrides(*edges, x, axes, a, name);
    if (strides.has_error()) return ffi::Unexpected(strides.error());
    all.push_back(std::move(*strides));
  }
  return all;
}

}  // namespace jaxtv
