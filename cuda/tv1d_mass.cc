// SPDX-License-Identifier: MIT
// CUDA handler of the TV prox, with a mass on each sample, of every line along an axis: the
// operands and the attribute of cpu/tv1d_mass.cc, and work space as a last result.
#include "cuda/lines/tv1d_mass.h"

#include "cuda/common/call.h"
#include "ffi/handlers.h"
#include "ffi/operands.h"

namespace jaxtv {
namespace {

ffi::Error Prox(cudaStream_t stream, ffi::AnyBuffer x, ffi::AnyBuffer lam, ffi::AnyBuffer mass,
                ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::AnyBuffer> scratch,
                int64_t axis) try {
  const auto layout = MassLayout::Of(x, lam, mass, *y, axis);
  if (layout.has_error()) return layout.error();
  const int64_t needed = int64_t(x.element_count()) * cuda::kMassSampleBytes;
  if (auto error = cuda::CheckWorkSpace(*scratch, needed); error.failure()) return error;
  if (x.element_count() == 0) return ffi::Error::Success();
  cuda::CallScope scope;
  scope.Input(x, "x");
  scope.Input(lam, "lam");
  scope.Input(mass, "mass");
  scope.Output(*y, "y");
  scope.Output(*scratch, "scratch");
  return DispatchFloat(x.element_type(), [&](auto zero) {
    using T = decltype(zero);
    return cuda::ToError(cuda::ProxTv1dMass(
        stream, layout->lines, layout->weights, layout->masses,
        static_cast<const T*>(x.untyped_data()), static_cast<const T*>(lam.untyped_data()),
        static_cast<const T*>(mass.untyped_data()), static_cast<T*>(y->untyped_data()),
        static_cast<double*>(scratch->untyped_data())));
  });
} catch (const std::exception& e) {
  return Caught(e);
}

XLA_FFI_DEFINE_HANDLER(kProxTv1dMass, Prox,
                       ffi::Ffi::Bind()
                           .Ctx<cuda::Stream>()
                           .Arg<ffi::AnyBuffer>()  // x
                           .Arg<ffi::AnyBuffer>()  // lam
                           .Arg<ffi::AnyBuffer>()  // mass
                           .Ret<ffi::AnyBuffer>()  // y
                           .Ret<ffi::AnyBuffer>()  // scratch
                           .Attr<int64_t>("axis"),
                       {ffi::Traits::kCmdBufferCompatible});

}  // namespace

Handlers Tv1dMassHandlers() { return {{"jaxtv_prox_tv1d_mass", kProxTv1dMass}}; }

}  // namespace jaxtv
