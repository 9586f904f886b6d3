// SPDX-License-Identifier: MIT
// The handlers of each operator by FFI target name.
#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "xla/ffi/api/ffi.h"

namespace jaxtv {

using Handlers = std::vector<std::pair<const char*, XLA_FFI_Handler*>>;

// Of the TV prox along an axis, core/tv1d.h.
Handlers Tv1dHandlers();

// Of the run mean and of the derivative of the prox, core/run.h and core/pull_back.h.
Handlers PullBackHandlers();

// Of the TV prox by projected Newton steps, core/tv1d_newton.h.
Handlers Tv1dNewtonHandlers();

// Of the certified TV prox of images, docs/solver.md.
Handlers TvndHandlers();

// Of a fixed number of sweeps over the axes of images and of their reverse, core/sweeps.h.
Handlers SweepsHandlers();

// Of the mean over connected components of equal pixels of images.
Handlers ComponentMeanHandlers();

// What a handler returns for an exception: none crosses the C boundary.
inline xla::ffi::Error Caught(const std::exception& e) {
  return xla::ffi::Error::Internal(std::string("jaxtv: ") + e.what());
}

}  // namespace jaxtv
