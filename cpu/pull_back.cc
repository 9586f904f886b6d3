// SPDX-License-Identifier: MIT
// CPU handler of the derivative of the TV prox of every line along an axis.
#include "cpu/lines/long/pull_back.h"

#include <algorithm>

#include "cpu/lines/prox_lines.h"
#include "cpu/lines/pull_back_lines.h"
#include "cpu/threads/parallel_for.h"
#include "ffi/handlers.h"
#include "ffi/operands.h"

namespace jaxtv {
namespace {

// Samples per block: enough work that handing it to a thread pays.
constexpr int64_t kBlock = 16384;

// Lines per block: enough to fill the lanes.
constexpr int64_t kBlockLines = 16;

template <typename T>
ffi::Error Run(ffi::ThreadPool pool, const PullBackOperands<T>& p) {
  if (p.lines.length > kLongLine) {
    PullBackLongLines(pool, p);
    return ffi::Error::Success();
  }
  const int64_t grain = std::max(kBlockLines, kBlock / std::max<int64_t>(1, p.lines.length));
  ParallelFor(pool, p.lines.count(), grain,
              [&](int64_t begin, int64_t end) { PullBackLines(p, begin, end); });
  return ffi::Error::Success();
}

ffi::Error PullBack(ffi::ThreadPool pool, ffi::AnyBuffer y, ffi::AnyBuffer lam, ffi::AnyBuffer v,
                    ffi::Result<ffi::AnyBuffer> x_bar, ffi::Result<ffi::AnyBuffer> lam_bar,
                    int64_t axis) try {
  const auto layout = LayoutOfPullBack(y, lam, v, *x_bar, *lam_bar, axis);
  if (layout.has_error()) return layout.error();
  return DispatchFloat(y.element_type(), [&](auto zero) {
    using T = decltype(zero);
    return Run<T>(
        pool, {layout->lines, layout->weights, static_cast<const T*>(y.untyped_data()),
               static_cast<const T*>(lam.untyped_data()), static_cast<const T*>(v.untyped_data()),
               static_cast<T*>(x_bar->untyped_data()), static_cast<T*>(lam_bar->untyped_data())});
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kPullBack, PullBack,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()  // y
                           .Arg<ffi::AnyBuffer>()  // lam
                           .Arg<ffi::AnyBuffer>()  // v
                           .Ret<ffi::AnyBuffer>()  // x_bar
                           .Ret<ffi::AnyBuffer>()  // lam_bar
                           .Attr<int64_t>("axis"));

}  // namespace

Handlers PullBackHandlers() { return {{"jaxtv_pull_back", kPullBack}}; }

}  // namespace jaxtv
