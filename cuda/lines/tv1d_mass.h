// SPDX-License-Identifier: MIT
// The TV prox, with a mass on each sample, of every line along an axis, on a CUDA stream: the
// results of core/tv1d_mass.h. `T` is float or double. All pointers are of device memory; nothing
// is allocated and nothing waits.
#pragma once

#include "core/line.h"
#include "core/tv1d_mass.h"
#include "cuda/common/status.h"

namespace jaxtv::cuda {

constexpr int64_t kMassSampleBytes = kMassDoubles * sizeof(double);

// `scratch`: kMassSampleBytes bytes for each sample, aligned to 8.
template <typename T>
Status ProxTv1dMass(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                    const WeightLayout& masses, const T* x, const T* lam, const T* mass, T* y,
                    double* scratch);

}  // namespace jaxtv::cuda
