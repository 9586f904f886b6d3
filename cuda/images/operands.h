// SPDX-License-Identifier: MIT
// From FFI buffers to the axes of images.
#pragma once

#include <vector>

#include "cuda/images/axes.h"
#include "ffi/images.h"

namespace jaxtv {

// The work space of an operator on images has `per_sample` bytes for each sample, and `per_axis`
// more for each sample and axis.
inline int64_t ImageSpaceBytes(ffi::AnyBuffer x, size_t axes, int64_t per_sample,
                               int64_t per_axis) {
  return int64_t(x.element_count()) * (per_sample + per_axis * int64_t(axes));
}

// Axes of one sample have no edges; one axis is kept, so that there are lines.
inline std::vector<size_t> AxesWithEdges(const Image& image) {
  std::vector<size_t> axes;
  for (size_t a = 0; a < image.size.size(); ++a) {
    const bool kept = axes.empty() && a + 1 == image.size.size();
    if (image.size[a] > 1 || kept) axes.push_back(a);
  }
  return axes;
}

template <typename T>
ffi::ErrorOr<cuda::TvAxis<T>> AxisOf(ffi::AnyBuffer::Dimensions dims, int64_t axis,
                                     ffi::AnyBuffer lam) {
  const auto lines = LinesAlong(dims, axis);
  if (lines.has_error()) return ffi::Unexpected(lines.error());
  const auto weights = WeightsAlong(lam.dimensions(), dims, axis);
  if (weights.has_error()) return ffi::Unexpected(weights.error());
  return cuda::TvAxis<T>{*lines, *weights, static_cast<const T*>(lam.untyped_data())};
}

}  // namespace jaxtv
