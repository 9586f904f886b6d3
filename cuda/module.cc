// SPDX-License-Identifier: MIT
// The Python module jaxtv._cuda. It needs no driver until a handler is called.
#include "cuda/regime.h"
#include "ffi/registry.h"

NB_MODULE(_cuda, module) {
  jaxtv::DefineModule(module, {jaxtv::Tv1dHandlers(), jaxtv::PullBackHandlers()});
  // Work space that the lowering adds as a last result and drops, by target: bytes per sample, and
  // the longest line that needs none.
  nanobind::dict scratch;
  scratch["jaxtv_prox_tv1d"] =
      nanobind::make_tuple(jaxtv::cuda::kScratchSampleBytes, jaxtv::cuda::kOnChipLength);
  module.attr("scratch") = scratch;
}
