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

// The TV prox along an axis (core/tv1d.h).
Handlers Tv1dHandlers();

// The derivative of the prox (core/pull_back.h).
Handlers PullBackHandlers();

// The TV prox by projected Newton steps (core/tv1d_newton.h).
Handlers Tv1dNewtonHandlers();

// The TV prox with a mass on each sample (core/tv1d_mass.h).
Handlers Tv1dMassHandlers();

// The certified TV prox of images (docs/solver.md).
Handlers TvndHandlers();

// Its part in compiled code where plain JAX does the rest (jaxtv/_plain/alternating.py).
Handlers AlternatingHandlers();

// A fixed number of sweeps over the axes of images, and their reverse (core/sweeps.h).
Handlers SweepsHandlers();

// The same over images that CUDA has not on chip.
Handlers SweepsByLinesHandlers();

// The mean over connected components of equal pixels of images.
Handlers ComponentMeanHandlers();

// The TV prox that couples differences (jaxtv/_plain/isotropic.py).
Handlers IsotropicHandlers();

// Iterations of its method (jaxtv/_plain/isotropic_steps.py).
Handlers IsotropicStepsHandlers();

// The error that a handler returns for an exception, since none may cross the C boundary.
inline xla::ffi::Error Caught(const std::exception& e) {
  return xla::ffi::Error::Internal(std::string("jaxtv: ") + e.what());
}

}  // namespace jaxtv
