// SPDX-License-Identifier: MIT
// The TV prox of all images of an array to certified error bounds, on a CUDA stream: sweeps
// (alternating.h) until the next test of each image, a test (certificate.h), and again. What
// becomes of an image is decided on the device. The host waits at the start and once for each point
// that a test tries, to read whether any image goes on and for how many sweeps at most. It launches
// all of them: where no image is swept any more, they cost but their launches. Small images have
// a block each, which needs no host (solve_on_chip.h).
#pragma once

#include <vector>

#include "cuda/common/status.h"
#include "cuda/images/alternating.h"
#include "cuda/images/axes.h"

namespace jaxtv::cuda {

// The arguments of a call. `T` is float or double; all pointers are of device memory.
template <typename T>
struct SolveOperands {
  const T* x;
  std::vector<SolvedAxis<T>> axes;  // but for the inputs, which are work space
  std::vector<const T*> start;      // the duals to start from
  int64_t images;
  WeightLayout image_of;    // for each line of the first axis, the number of its image
  ImageNumbers<T> numbers;  // but for those that are work space
  T* y;
  void* scratch;  // kSolveSampleBytes + axes.size() * kSolveAxisBytes bytes for each sample
};

template <typename T>
Status SolveImages(cudaStream_t stream, SolveOperands<T> operands);

}  // namespace jaxtv::cuda
