// SPDX-License-Identifier: MIT
// The search of solve.h for images of two axes so small that a block keeps each in shared memory:
// one launch, in which a block sweeps over its image, tests, and ends when the image is done. The
// results have the bits that kernels on all images give.
#pragma once

#include "cuda/common/status.h"
#include "cuda/images/solve.h"

namespace jaxtv::cuda {

// Whether images are of this kind and the current device has the memory.
bool SolvedOnChip(const SolveOperands<float>& operands);

Status SolveOnChip(cudaStream_t stream, const SolveOperands<float>& operands);

}  // namespace jaxtv::cuda
