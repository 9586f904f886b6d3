// SPDX-License-Identifier: MIT
// The derivative of the TV prox of every line along an axis, on a CUDA stream: the results of
// core/pull_back.h to a few units in the last place. All pointers are of device memory; nothing is
// allocated and nothing waits.
#pragma once

#include "core/line.h"
#include "cuda/common/status.h"

namespace jaxtv::cuda {

// The operands of core/pull_back.h. Cotangents of x and y are stored in `S`, which may be a half
// type; `y` is the result before it was rounded to that, so that its runs are those of the prox.
template <typename T, typename S = T>
struct PullBackOperands {
  Lines lines;
  WeightLayout weights;
  int64_t edges;  // cotangents of each line in lam_bar: one for each edge, or 1, their sum
  const T* y;
  const T* lam;
  const S* v;
  S* x_bar;
  T* lam_bar;
  void* scratch;  // PullBackScratchBytes(lines.length) bytes for each line, aligned to 8

  JAXTV_HD Line<const T> Y(int64_t line) const { return lines.At(y, line); }
  JAXTV_HD Line<const S> V(int64_t line) const { return lines.At(v, line); }
  JAXTV_HD Line<S> XBar(int64_t line) const { return lines.At(x_bar, line); }
  JAXTV_HD Line<const T> Lam(int64_t line) const { return weights.At(lam, line); }
  JAXTV_HD Line<T> LamBar(int64_t line) const { return EdgeLines().At(lam_bar, line); }
  JAXTV_HD Lines EdgeLines() const { return {lines.outer, edges, lines.inner}; }
};

// For float and double.
template <typename T>
Status PullBack(cudaStream_t stream, const PullBackOperands<T>& operands);

// The same of lines of a half type that are SolvedInHalf.
template <typename S>
Status PullBackInHalf(cudaStream_t stream, const PullBackOperands<float, S>& operands);

// The launchers of which kernel_choice.h chooses one: for lines that the lanes of a warp walk in
// step, for a warp on each line, for a block on each line, and for all blocks on a few lines.
template <typename S>
Status PullBackInStep(cudaStream_t stream, const PullBackOperands<float, S>& operands);

template <typename S>
Status PullBackByWarps(cudaStream_t stream, const PullBackOperands<float, S>& operands);

template <typename T>
Status PullBackByBlocks(cudaStream_t stream, const PullBackOperands<T>& operands);

template <typename T>
Status PullBackByGrid(cudaStream_t stream, const PullBackOperands<T>& operands);

}  // namespace jaxtv::cuda
