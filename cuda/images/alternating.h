// SPDX-License-Identifier: MIT
// A sweep of accelerated alternating minimisation (jaxtv/_plain/alternating.py) over all images of
// an array that are to be swept, on a CUDA stream. `T` is float or double. All pointers are of
// device memory; nothing is allocated and nothing waits.
#pragma once

#include <vector>

#include "cuda/common/status.h"
#include "cuda/images/axes.h"
#include "cuda/images/sweep_sums.h"
#include "cuda/images/swept_axis.h"

namespace jaxtv::cuda {

// Arrays of one number for each image.
template <typename T>
struct ImageNumbers {
  // What is asked for: error bounds, and numbers of sweeps.
  const T *target, *rounding;
  const int *max_sweeps, *first_test, *first_union;
  // How far the search has come: the fields of Search in jaxtv/_plain/alternating.py.
  T *gap, *bound, *momentum, *energy, *moved, *near;
  int *count, *due, *vain;
  bool* active;
  int* sweeping;  // whether there is a sweep before the next test
  T* beta;        // Nesterov's weight in the next sweep

  // Before the next test, and before the image stands still for the first time. An image of NaN
  // goes on to its last sweep.
  __device__ bool Unfinished(int64_t i) const {
    const bool still = moved[i] <= rounding[i] && vain[i] == 0;
    return active[i] && count[i] < due[i] && !(moved[i] <= near[i]) && !still;
  }
};

template <typename T>
class Alternating {
 public:
  // `image_of`: the number of its image, for each sample. `scratch`: as for a Certifier, used in
  // Sweep alone.
  Alternating(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images,
              const int* image_of, const ImageNumbers<T>& numbers, const T* x, void* scratch);

  // Sweeps over the images that are `sweeping`, and decides which of them still are.
  Status Sweep() const;

 private:
  SweptAxis<T> Swept(size_t a) const;
  Status Enter() const;
  Status Half(size_t a, SweepSums* sums) const;
  Status HalfInSteps(size_t a, SweepSums* sums) const;

  cudaStream_t stream_;
  const std::vector<SolvedAxis<T>>& axes_;
  int64_t images_;
  SweptImages<T> swept_;
  const ImageNumbers<T>& numbers_;
  const T* x_;
  void* scratch_;
  bool in_one_launch_;  // each half of a sweep
};

}  // namespace jaxtv::cuda
