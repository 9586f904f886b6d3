// SPDX-License-Identifier: MIT
// The TV prox of every line along an axis by projected Newton steps, on a CUDA stream: the results
// of core/tv1d_newton.h. `T` is float or double. All pointers are of device memory; nothing is
// allocated and nothing waits.
#pragma once

#include "core/line.h"
#include "core/tv1d_newton.h"
#include "cuda/common/status.h"

namespace jaxtv::cuda {

constexpr int64_t kNewtonSampleBytes = NewtonScratch::kDoublesPerEdge * sizeof(double);

constexpr int64_t NewtonScratchBytes(int64_t length) {
  return length > 1 ? length * kNewtonSampleBytes : 0;
}

// `steps`: one number for each line. `scratch`: NewtonScratchBytes(lines.length) bytes for each
// line, aligned to 8.
template <typename T>
Status ProxTv1dNewton(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      int64_t max_steps, const T* x, const T* lam, T* y, int32_t* steps,
                      double* scratch);

}  // namespace jaxtv::cuda
