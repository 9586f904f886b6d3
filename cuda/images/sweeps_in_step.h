// SPDX-License-Identifier: MIT
// Sweeps over images of float with one weight for each line, by lanes that go in step, and their
// reverse. sweeps.cu says which images these kernels take.
#pragma once

#include "cuda/images/sweeps.h"

namespace jaxtv::cuda {

// How many images a block takes, 0 if these kernels take none of this shape on the current device.
int ImagesInStep(const SweepImages& images);

template <typename S>
Status SweepsInStep(cudaStream_t stream, const SweepImages& images, int per_tile,
                    const WeightLayout (&weights)[2], const S* x, const float* const (&lam)[2],
                    S* y, uint8_t* bits);

template <typename S>
Status SweepsReverseInStep(cudaStream_t stream, const SweepImages& images, int per_tile,
                           const S* y_bar, const uint8_t* bits, S* x_bar,
                           float* const (&lam_bar)[2]);

}  // namespace jaxtv::cuda
