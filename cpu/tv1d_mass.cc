// SPDX-License-Identifier: MIT
// CPU handler of the TV prox, with a mass on each sample, of every line along an axis.
#include "core/tv1d_mass.h"

#include <algorithm>

#include "cpu/threads/buffer.h"
#include "cpu/threads/for_images.h"
#include "ffi/handlers.h"
#include "ffi/operands.h"

namespace jaxtv {
namespace {

// Samples per block: enough work (some 50 us) that handing it to a thread pays.
constexpr int64_t kBlock = 2048;

ffi::Error Prox(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer lam, ffi::AnyBuffer mass,
                ffi::Result<ffi::AnyBuffer> y, int64_t axis) try {
  const auto layout = MassLayout::Of(x, lam, mass, *y, axis);
  if (layout.has_error()) return layout.error();
  const Lines& lines = layout->lines;
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    const T* xs = static_cast<const T*>(x.untyped_data());
    const T* ws = static_cast<const T*>(lam.untyped_data());
    const T* ms = static_cast<const T*>(mass.untyped_data());
    T* ys = static_cast<T*>(y->untyped_data());
    const int64_t per_block = std::max<int64_t>(1, kBlock / std::max<int64_t>(1, lines.length));
    const int64_t blocks = (lines.count() + per_block - 1) / per_block;
    SharedLoop(pool, true)(blocks, [&](int64_t begin, int64_t end) {
      Buffer<double> scratch(kMassDoubles * lines.length);
      const int64_t last = std::min(lines.count(), end * per_block);
      for (int64_t line = begin * per_block; line < last; ++line) {
        ProxMassLine<T>(lines.At(xs, line), layout->weights.At(ws, line),
                        layout->masses.At(ms, line), lines.length, lines.At(ys, line),
                        {scratch.data(), lines.length, 1});
      }
    });
    return ffi::Error::Success();
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kProxTv1dMass, Prox,
                       ffi::Ffi::Bind()
                           .Ctx<ffi::ThreadPool>()
                           .Arg<ffi::AnyBuffer>()  // x
                           .Arg<ffi::AnyBuffer>()  // lam
                           .Arg<ffi::AnyBuffer>()  // mass
                           .Ret<ffi::AnyBuffer>()  // y
                           .Attr<int64_t>("axis"));

}  // namespace

Handlers Tv1dMassHandlers() { return {{"jaxtv_prox_tv1d_mass", kProxTv1dMass}}; }

}  // namespace jaxtv
