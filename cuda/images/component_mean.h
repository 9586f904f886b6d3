// SPDX-License-Identifier: MIT
// The mean over the components of images, on a CUDA stream. All pointers are of device memory;
// nothing is allocated and nothing waits. The result has the same bits in every run.
#pragma once

#include <vector>

#include "cuda/common/status.h"
#include "cuda/images/axes.h"

namespace jaxtv::cuda {

// The mean of v over connected components of equal `y`, as in cpu/component_mean.cc: edges of
// positive weight connect, and where y is NaN the result is NoDerivative of v. Its error is the
// rounding of T and 2^-62 of the largest difference of two v in the component. `T` is float or
// double.
//
// `axes`: at least one. `scratch`: kComponentSampleBytes + axes.size() * kComponentAxisBytes bytes
// for each sample (work_space.h), aligned to 8.
template <typename T>
Status ComponentMean(cudaStream_t stream, const std::vector<TvAxis<T>>& axes, const T* y,
                     const T* v, T* mean, void* scratch);

}  // namespace jaxtv::cuda
