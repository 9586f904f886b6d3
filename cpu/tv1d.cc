// SPDX-License-Identifier: MIT
// CPU handler of the TV prox of every line along an axis.
#include <algorithm>

#include "cpu/lines/long/prox.h"
#include "cpu/lines/prox_lines.h"
#include "cpu/threads/parallel_for.h"
#include "ffi/handlers.h"
#include "ffi/operands.h"

namespace jaxtv {
namespace {

// Samples per block: enough work (some 30 us) that handing it to a thread pays.
constexpr int64_t kBlock = 8192;

// Lines per block: enough to fill the lanes that a thread walks at once.
constexpr int64_t kBlockLines = 32;

// This many lines keep all threads busy, one on each. Nor are threads woken for parts of a line
// that is done in that time.
constexpr int64_t kManyLines = 8, kSharedLine = 32768;

int64_t LinesPerBlock(const Lines& lines) {
  if (lines.length > kLongLine) return 1;
  return std::max(kBlockLines, kBlock / std::max<int64_t>(1, lines.length));
}

ffi::Error Prox(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer lam,
                ffi::Result<ffi::AnyBuffer> y, int64_t axis) try {
  const auto layout = ProxLayout::Of(x, lam, *y, axis);
  if (layout.has_error()) return layout.error();
  const Lines& lines = layout->lines;
  const WeightLayout& weights = layout->weights;
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const T* xs = static_cast<const T*>(x.untyped_data());
    const T* ws = static_cast<const T*>(lam.untyped_data());
    T* ys = static_cast<T*>(y->untyped_data());
    if (lines.length > kSharedLine && lines.count() < kManyLines) {
      ProxLongLines(pool, lines, weights, xs, ws, ys, 0, lines.count());
      return ffi::Error::Success();
    }
    ParallelFor(pool, lines.count(), LinesPerBlock(lines), [&](int64_t begin, int64_t end) {
      ProxLines(lines, weights, xs, ws, ys, begin, end);
    });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kProxTv1d, Prox,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()  // x
                           .Arg<ffi::AnyBuffer>()  // lam
                           .Ret<ffi::AnyBuffer>()  // y
                           .Attr<int64_t>("axis"));

}  // namespace

Handlers Tv1dHandlers() { return {{"jaxtv_prox_tv1d", kProxTv1d}}; }

}  // namespace jaxtv
