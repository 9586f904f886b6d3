// SPDX-License-Identifier: MIT
// A compiled module gives Python its handlers by target name, and the version of the FFI headers it
// was built with. The names are the same on every platform.
#pragma once

#include <nanobind/nanobind.h>

#include <initializer_list>
#include <utility>
#include <vector>

#include "ffi/handlers.h"

namespace jaxtv {

inline void DefineModule(nanobind::module_& module, std::initializer_list<Handlers> groups) {
  module.attr("ffi_api_version") = nanobind::make_tuple(XLA_FFI_API_MAJOR, XLA_FFI_API_MINOR);
  nanobind::dict targets;
  for (const Handlers& handlers : groups) {
    for (const auto& [name, handler] : handlers) {
      targets[name] = nanobind::capsule(reinterpret_cast<void*>(handler));
    }
  }
  module.attr("targets") = targets;
}

}  // namespace jaxtv
