// SPDX-License-Identifier: MIT
//
// Stands in for CUDA's header of this name when g++ compiles `.cu` files for the emulator.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CUDA_RUNTIME_H_
#define JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CUDA_RUNTIME_H_

#if !defined(JAXTV_CUDA_EMULATOR) || defined(__CUDACC__)
#error "This header is for the CUDA emulator of the tests; build with tests/cuda_emulator/build.py"
#endif

#include "jaxtv_emulator/atomics.h"
#include "jaxtv_emulator/calls.h"
#include "jaxtv_emulator/device_math.h"
#include "jaxtv_emulator/host_api.h"
#include "jaxtv_emulator/synchronisation.h"
#include "jaxtv_emulator/types.h"

#endif  // JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CUDA_RUNTIME_H_
