// SPDX-License-Identifier: MIT
// The TV prox of every line along an axis, on a CUDA stream: the results of core/tv1d.h to a few
// units in the last place. `T` is float or double. All pointers are of device memory; nothing is
// allocated and nothing waits.
#pragma once

#include "core/line.h"
#include "cuda/common/status.h"
#include "cuda/lines/wanted_lines.h"

namespace jaxtv::cuda {

// `scratch`: ProxScratchBytes(lines.length) bytes for each line, aligned to 8. The results of lines
// that are not `wanted` stay as they are, or are those of their x.
template <typename T>
Status ProxTv1d(cudaStream_t stream, const Lines& lines, const WeightLayout& weights, const T* x,
                const T* lam, T* y, void* scratch, const WantedLines& wanted = {});

// The same of lines of a half type `S` that are SolvedInHalf; `unrounded`, if it is not null, gets
// the result before it is rounded.
template <typename S>
Status ProxTv1dInHalf(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      const S* x, const float* lam, S* y, float* unrounded);

// The launchers of which kernel_choice.h chooses one: for lines that the lanes of a warp solve in
// step, for a warp on each line, for a block on each line, and for all blocks on a few lines. `S`
// is float, and there is no `unrounded`, or a half type.
template <typename S>
Status ProxTv1dInStep(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      const S* x, const float* lam, S* y, float* unrounded,
                      const WantedLines& wanted);

template <typename S>
Status ProxTv1dByWarps(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                       const S* x, const float* lam, S* y, float* unrounded,
                       const WantedLines& wanted);

template <typename T>
Status ProxTv1dByBlocks(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                        const T* x, const T* lam, T* y, void* scratch, const WantedLines& wanted);

template <typename T>
Status ProxTv1dByGrid(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      const T* x, const T* lam, T* y, void* scratch);

}  // namespace jaxtv::cuda
