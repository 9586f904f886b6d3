// SPDX-License-Identifier: MIT
// The Python module jaxtv._cpu.
#include "ffi/registry.h"

NB_MODULE(_cpu, module) {
  jaxtv::DefineModule(
      module, {jaxtv::Tv1dHandlers(), jaxtv::PullBackHandlers(), jaxtv::Tv1dNewtonHandlers(),
               jaxtv::Tv1dMassHandlers(), jaxtv::TvndHandlers(), jaxtv::ComponentMeanHandlers(),
               jaxtv::SweepsHandlers(), jaxtv::IsotropicHandlers()});
}
