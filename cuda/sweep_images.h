// SPDX-License-Identifier: MIT
// The images of the handlers of sweeps over two axes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/images/sweeps.h"
#include "ffi/sweeps.h"

namespace jaxtv {

// Which of the operands, that come in the order of a sweep, is along the height and the width.
struct SweepOrder {
  int height, width;
  explicit SweepOrder(ffi::Span<const int64_t> axes)
      : height(axes[0] < axes[1] ? 0 : 1), width(1 - height) {}
};

inline ffi::ErrorOr<cuda::SweepImages> SweepImagesOf(ffi::Span<const int64_t> axes,
                                                     const SweepShape& shape) {
  if (axes.size() != 2) return ffi::Unexpected(RefuseSweeps("CUDA sweeps over two axes only"));
  const SweepOrder order(axes);
  const Lines rows = shape.lines[order.width], columns = shape.lines[order.height];
  const int64_t between = rows.outer / std::max<int64_t>(1, columns.outer * columns.length);
  return cuda::SweepImages{columns.outer,        between,          rows.inner,
                           int(columns.length),  int(rows.length), order.height == 0 ? 0 : 1,
                           int(shape.num_sweeps)};
}

}  // namespace jaxtv
