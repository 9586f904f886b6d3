// SPDX-License-Identifier: MIT
#pragma once

#include <cuda_runtime.h>

#include "cuda/images/swept_axis.h"

namespace jaxtv::cuda {

// The sums of the terms of a sweep (swept_axis.h), over a line or an image.
struct SweepSums {
  double against, apart, energy;

  __device__ SweepSums Then(const SweepSums& next) const {
    return {against + next.against, apart + next.apart, energy + next.energy};
  }

  template <typename T>
  __device__ SweepSums And(const SweepTerms<T>& terms) const {
    return Then({double(terms.against), double(terms.apart), double(terms.energy)});
  }

  template <typename F>
  __device__ SweepSums Each(const F& f) const {
    return {f(against), f(apart), f(energy)};
  }
};

}  // namespace jaxtv::cuda
