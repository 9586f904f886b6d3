// SPDX-License-Identifier: MIT
// CPU handlers of a fixed number of sweeps over the axes of images and of their reverse.
#include "ffi/sweeps.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "cpu/sweeps/forward.h"
#include "cpu/sweeps/group.h"
#include "cpu/sweeps/reverse.h"
#include "cpu/threads/for_images.h"
#include "ffi/handlers.h"

namespace jaxtv {
namespace {

SweepArray ArrayOf(const SweepShape& shape) {
  SweepArray array{shape.samples, shape.pixels, shape.lines, shape.num_sweeps};
  for (Lines& lines : array.lines) lines.outer /= shape.samples;
  return array;
}

// Calls solve(run, group) for the groups of an array: as many samples as blocks take.
template <typename Solve>
void ForGroups(ffi::ThreadPool& pool, const SweepArray& array, const Solve& solve) {
  constexpr int64_t kPixels = 32768;
  const int64_t threads = int64_t(pool.num_threads());
  const int64_t most = std::max<int64_t>(1, array.samples / (4 * threads));
  const int64_t size = std::min(most, std::max<int64_t>(1, kPixels / array.pixels));
  ForImages(pool, (array.samples + size - 1) / size, [&](const SharedLoop& run, int64_t g) {
    solve(run, SweepGroup(array, g * size, std::min(size, array.samples - g * size)));
  });
}

// Makes NaN of the images of a group that have a NaN. An image spans `axes`; `dims` is a sample.
template <typename T>
void SpreadNaN(const SweepGroup& group, const std::vector<int64_t>& dims,
               const std::vector<bool>& is_axis, T* y, uint8_t* bits) {
  const int64_t size = group.array().pixels, planes = group.array().planes();
  std::vector<int64_t> image(size, 0);  // the image of each pixel
  int64_t images = 1;
  for (int64_t d = int64_t(dims.size()) - 1, stride = 1; d >= 0; stride *= dims[d--]) {
    if (is_axis[d]) continue;
    for (int64_t k = 0; k < size; ++k) image[k] += k / stride % dims[d] * images;
    images *= dims[d];
  }
  for (int64_t first = 0; first < group.pixels(); first += size) {
    T* values = y + group.first_pixel() + first;
    uint8_t* codes = bits + (group.first_pixel() + first) * planes;
    std::vector<bool> bad(images);
    for (int64_t k = 0; k < size; ++k) bad[image[k]] = bad[image[k]] || values[k] != values[k];
    for (int64_t k = 0; k < size; ++k) {
      if (!bad[image[k]]) continue;
      values[k] = std::numeric_limits<T>::quiet_NaN();
      for (int64_t p = 0; bits && p < planes; ++p) codes[p * size + k] = kAllBad;
    }
  }
}

ffi::Error Sweeps(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::RemainingArgs lams,
                  ffi::Result<ffi::AnyBuffer> y, ffi::RemainingRets kept,
                  ffi::Span<const int64_t> axes, int64_t num_sweeps, bool keep_bits) try {
  const auto call = SweepCall::Of(x, lams, y, kept, axes, num_sweeps, keep_bits);
  if (call.has_error()) return call.error();
  uint8_t* const bits = call->bits;
  if (x.element_count() == 0) return ffi::Error::Success();
  std::vector<int64_t> dims;
  std::vector<bool> is_axis;
  for (int64_t d = call->shape.first; d < int64_t(x.dimensions().size()); ++d) {
    dims.push_back(x.dimensions()[d]);
    is_axis.push_back(std::find(axes.begin(), axes.end(), d) != axes.end());
  }
  const SweepArray array = ArrayOf(call->shape);
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    SweepOperands<T> operands{static_cast<const T*>(x.untyped_data()),
                              {},
                              call->weights,
                              static_cast<T*>(y->untyped_data()),
                              bits};
    for (size_t a = 0; a < axes.size(); ++a) {
      operands.lams.push_back(static_cast<const T*>(lams.get<ffi::AnyBuffer>(a)->untyped_data()));
    }
    ForGroups(pool, array, [&](const SharedLoop& run, const SweepGroup& group) {
      if (!GroupSweeper<T>(group, operands).Solve(run)) {
        SpreadNaN(group, dims, is_axis, operands.y, bits);
      }
    });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

ffi::Error Reverse(ffi::ThreadPool pool, ffi::AnyBuffer y_bar, ffi::AnyBuffer bits,
                   ffi::Result<ffi::AnyBuffer> x_bar, ffi::RemainingRets lam_bars,
                   ffi::Span<const int64_t> axes, int64_t num_sweeps,
                   ffi::Span<const int64_t> edges) try {
  const auto call = ReverseCall::Of(y_bar, bits, x_bar, lam_bars, axes, num_sweeps, edges);
  if (call.has_error()) return call.error();
  if (y_bar.element_count() == 0) return ffi::Error::Success();
  const SweepArray array = ArrayOf(call->shape);
  return DispatchFloat(y_bar.element_type(), [&](auto zero) {
    using T = decltype(zero);
    ReverseOperands<T> operands{static_cast<const T*>(y_bar.untyped_data()),
                                static_cast<const uint8_t*>(bits.untyped_data()),
                                static_cast<T*>(x_bar->untyped_data()),
                                {},
                                call->per_edge};
    for (size_t a = 0; a < axes.size(); ++a) {
      auto lam_bar = *lam_bars.get<ffi::AnyBuffer>(a);
      operands.lam_bars.push_back(static_cast<T*>(lam_bar->untyped_data()));
    }
    ForGroups(pool, array, [&](const SharedLoop& run, const SweepGroup& group) {
      GroupReverser<T>(group, operands).Solve(run);
    });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kSweeps, Sweeps, SweepsBinding<ffi::ThreadPool>());
XLA_FFI_DEFINE_HANDLER(kReverse, Reverse, ReverseBinding<ffi::ThreadPool>());

}  // namespace

Handlers SweepsHandlers() {
  return {{"jaxtv_sweeps", kSweeps}, {"jaxtv_sweeps_reverse", kReverse}};
}

}  // namespace jaxtv
