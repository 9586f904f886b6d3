// SPDX-License-Identifier: MIT
// The TV prox of every line along an axis, on a CUDA stream: what core/tv1d.h computes, to a few
// units in the last place. `T` is float or double. All pointers are of
// device memory; nothing is allocated and nothing waits.
#pragma once

#include "core/line.h"
#include "cuda/status.h"

namespace jaxtv::cuda {

// `scratch`: ProxScratchBytes(lines.length) bytes for each line, aligned to 8.
template <typename T>
Status ProxTv1d(cudaStream_t stream, const Lines& lines, const WeightLayout& weights, const T* x,
                const T* lam, T* y, void* scratch);

// The same where WalkInStep.
Status ProxTv1dInStep(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      const float* x, const float* lam, float* y);

// And where ChooseRegime has chosen a block for each line.
template <typename T>
Status ProxTv1dByBlocks(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                        const T* x, const T* lam, T* y, void* scratch);

// And where it has chosen the whole grid for a few lines.
template <typename T>
Status ProxTv1dByGrid(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      const T* x, const T* lam, T* y, void* scratch);

}  // namespace jaxtv::cuda
