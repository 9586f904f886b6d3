// SPDX-License-Identifier: MIT
// CPU handler of the TV prox of every line along an axis by projected Newton steps.
#include "core/tv1d_newton.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>

#include "cpu/threads/parallel_for.h"
#include "ffi/handlers.h"
#include "ffi/operands.h"

namespace jaxtv {
namespace {

// Samples per block: a step costs a few passes, so this is about 0.1 ms of work.
constexpr int64_t kBlock = 2048;

ffi::Error ProxNewton(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer lam,
                      ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::Buffer<ffi::S32>> steps,
                      int64_t axis, int64_t max_steps) try {
  const auto layout = ProxLayout::Of(x, lam, *y, axis);
  if (layout.has_error()) return layout.error();
  const Lines lines = layout->lines;
  if (auto error = CheckNewton(lines, steps->element_count(), max_steps); error.failure()) {
    return error;
  }
  std::atomic<bool> out_of_memory{false};
  const ffi::Error error = DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const T* xs = static_cast<const T*>(x.untyped_data());
    const T* ws = static_cast<const T*>(lam.untyped_data());
    T* ys = static_cast<T*>(y->untyped_data());
    const int64_t grain = std::max<int64_t>(1, kBlock / std::max<int64_t>(1, lines.length));
    ParallelFor(pool, lines.count(), grain, [&](int64_t begin, int64_t end) {
      const int64_t edges = std::max<int64_t>(0, lines.length - 1);
      const std::unique_ptr<double[]> memory(
          new (std::nothrow) double[NewtonScratch::kDoublesPerEdge * edges]);
      if (memory == nullptr) {
        out_of_memory = true;
        return;
      }
      const auto array = [&](int64_t i) { return Line<double>{memory.get() + i * edges, 1}; };
      const NewtonScratch scratch{array(0), array(1), array(2), array(3)};
      for (int64_t l = begin; l < end; ++l) {
        steps->typed_data()[l] =
            int32_t(NewtonLine(lines.At(xs, l), layout->weights.At(ws, l), lines.length, max_steps,
                               scratch, lines.At(ys, l)));
      }
    });
    return ffi::Error::Success();
  });
  if (out_of_memory) return ffi::Error(ffi::ErrorCode::kResourceExhausted, "jaxtv: out of memory");
  return error;
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kProxTv1dNewton, ProxNewton,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()         // x
                           .Arg<ffi::AnyBuffer>()         // lam
                           .Ret<ffi::AnyBuffer>()         // y
                           .Ret<ffi::Buffer<ffi::S32>>()  // steps of each line
                           .Attr<int64_t>("axis")
                           .Attr<int64_t>("max_steps"));

}  // namespace

Handlers Tv1dNewtonHandlers() { return {{"jaxtv_prox_tv1d_newton", kProxTv1dNewton}}; }

}  // namespace jaxtv
