// SPDX-License-Identifier: MIT
// The images and buffers of the handlers of sweeps over two axes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/common/call.h"
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

// The buffers of a call but its work space.
inline void DeclareSweeps(cuda::CallScope& scope, ffi::AnyBuffer x, ffi::RemainingArgs lams,
                          ffi::Result<ffi::AnyBuffer> y, ffi::RemainingRets kept, bool keep_bits) {
  scope.Input(x, "x");
  scope.Input(*lams.get<ffi::AnyBuffer>(0), "lam 0");
  scope.Input(*lams.get<ffi::AnyBuffer>(1), "lam 1");
  scope.Output(*y, "y");
  if (!keep_bits) return;
  auto codes = kept.get<ffi::AnyBuffer>(0);
  scope.Output(**codes, "codes");
}

inline void DeclareReverse(cuda::CallScope& scope, ffi::AnyBuffer y_bar, ffi::AnyBuffer bits,
                           ffi::Result<ffi::AnyBuffer> x_bar, ffi::RemainingRets lam_bars) {
  scope.Input(y_bar, "y_bar");
  scope.Input(bits, "codes");
  scope.Output(*x_bar, "x_bar");
  auto first = lam_bars.get<ffi::AnyBuffer>(0), second = lam_bars.get<ffi::AnyBuffer>(1);
  scope.Output(**first, "lam_bar 0");
  scope.Output(**second, "lam_bar 1");
}

}  // namespace jaxtv
