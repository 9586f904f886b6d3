// SPDX-License-Identifier: MIT
// The run mean and the derivative of the TV prox of every line along an axis, on a CUDA stream:
// what core/run.h and core/pull_back.h compute, to a few units in the last place. All pointers are
// of device memory; nothing is allocated and nothing waits.
#pragma once

#include "core/line.h"
#include "cuda/status.h"

namespace jaxtv::cuda {

// The operands of core/pull_back.h. Without `lam` the run mean alone, as x_bar.
template <typename T>
struct PullBackOperands {
  Lines lines;
  WeightLayout weights;
  int64_t edges;  // of each line in lam_bar: all, or 1 for their sum
  const T* y;
  const T* lam;
  const T* v;
  T* x_bar;
  T* lam_bar;
  void* scratch;  // PullBackScratchBytes(lines.length) bytes for each line, aligned to 8

  JAXTV_HD Line<const T> Y(int64_t line) const { return lines.At(y, line); }
  JAXTV_HD Line<const T> V(int64_t line) const { return lines.At(v, line); }
  JAXTV_HD Line<T> XBar(int64_t line) const { return lines.At(x_bar, line); }
  JAXTV_HD Line<const T> Lam(int64_t line) const { return weights.At(lam, line); }
  JAXTV_HD Line<T> LamBar(int64_t line) const { return EdgeLines().At(lam_bar, line); }
  JAXTV_HD Lines EdgeLines() const { return {lines.outer, edges, lines.inner}; }
};

// For float and double.
template <typename T>
Status PullBack(cudaStream_t stream, const PullBackOperands<T>& operands);

// The same where WalkInStep.
Status PullBackInStep(cudaStream_t stream, const PullBackOperands<float>& operands);

// And where ChooseRegime has chosen a block for each line.
template <typename T>
Status PullBackByBlocks(cudaStream_t stream, const PullBackOperands<T>& operands);

// And where it has chosen the whole grid for a few lines.
template <typename T>
Status PullBackByGrid(cudaStream_t stream, const PullBackOperands<T>& operands);

}  // namespace jaxtv::cuda
