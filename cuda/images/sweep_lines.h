// SPDX-License-Identifier: MIT
// Half a sweep in one launch: the input of each line along an axis, its prox, and what follows from
// it. The lines of images that are not swept are left alone. For float with one weight per line.
#pragma once

#include "core/line.h"
#include "cuda/common/status.h"
#include "cuda/images/sweep_sums.h"
#include "cuda/images/swept_axis.h"

namespace jaxtv::cuda {

// Whether lines are of such a length and number.
bool SweptInOneLaunch(const Lines& lines, const WeightLayout& weights);

// `sums`: the sums over each line, but for the energy; null for the first axis.
Status SweepLines(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                  const float* lam, const SweptAxis<float>& axis, SweepSums* sums);

}  // namespace jaxtv::cuda
