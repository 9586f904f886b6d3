// SPDX-License-Identifier: MIT
// What a block keeps in shared memory: planes, with a number for each pixel of its region.
#pragma once

#include <cuda_runtime.h>

#include <limits>

#include "cuda/isotropic/steps.h"

namespace jaxtv::cuda {
namespace {

// The radius r and the slope s of each axis (jaxtv/_plain/stencil.py), of weights that are 0 where
// there is no edge. Radii of the prox are short enough for rounding to leave duals feasible.
template <typename T, int kAxes>
struct GroupWeights {
  T radius[kAxes], slope[kAxes];

  __device__ GroupWeights(const Iterations<T>& p, const T (&lams)[kAxes]) {
    const T below = p.linear ? T(1) : T(1) - T(8) * std::numeric_limits<T>::epsilon();
    T largest = T(0);
#pragma unroll
    for (int a = 0; a < kAxes; ++a) largest = lams[a] > largest ? lams[a] : largest;
#pragma unroll
    for (int a = 0; a < kAxes; ++a) {
      radius[a] = (p.isotropic ? largest : lams[a]) * below;
      slope[a] = !p.isotropic ? T(1) : largest > T(0) ? lams[a] / largest : T(0);
    }
  }
};

// How many planes a block has.
template <typename T>
int PlaneCount(const Iterations<T>& p, int axes) {
  return p.channels * (3 + axes + p.data_vary) + (p.lams_vary ? 2 * axes : 0) +
         (p.linear ? axes * (1 + p.channels) : 0);
}

// The planes of a block.
template <typename T, int kAxes>
class Planes {
 public:
  __device__ Planes(const Iterations<T>& p, int pixels, T* shared, T* of_edges)
      : pixels_(pixels), channels_(p.channels), of_edges_(of_edges), next_(shared) {
    y = Take(channels_);
    ahead = Take(channels_);
    source = Take(channels_);
    duals_ = Take(kAxes * channels_);
    if (p.data_vary) data_weight = Take(channels_);
    if (p.lams_vary) weights_ = Take(2 * kAxes);
    if (p.linear) lengths_ = Take(kAxes);
    if (p.linear) directions_ = Take(kAxes * channels_);
  }

  T *y, *ahead, *source;     // of each channel
  T* data_weight = nullptr;  // of each channel, or null where it is one number

  __device__ T* Channel(T* planes, int c) const { return planes + c * pixels_; }
  __device__ T* Dual(int a, int c) const { return duals_ + (a * channels_ + c) * pixels_; }
  __device__ T* Length(int a) const { return lengths_ + a * pixels_; }
  __device__ T* Direction(int a, int c) const {
    return directions_ + (a * channels_ + c) * pixels_;
  }

  // Weights that do not vary depend on the edges of a pixel alone.
  __device__ T Radius(int a, unsigned edges, int i) const {
    return weights_ == nullptr ? of_edges_[edges * 2 * kAxes + a] : weights_[a * pixels_ + i];
  }
  __device__ T Slope(int a, unsigned edges, int i) const {
    return weights_ == nullptr ? of_edges_[edges * 2 * kAxes + kAxes + a]
                               : weights_[(kAxes + a) * pixels_ + i];
  }
  __device__ void SetWeights(const GroupWeights<T, kAxes>& weights, unsigned edges, int i) {
#pragma unroll
    for (int a = 0; a < kAxes; ++a) {
      if (weights_ == nullptr) {
        of_edges_[edges * 2 * kAxes + a] = weights.radius[a];
        of_edges_[edges * 2 * kAxes + kAxes + a] = weights.slope[a];
      } else {
        weights_[a * pixels_ + i] = weights.radius[a];
        weights_[(kAxes + a) * pixels_ + i] = weights.slope[a];
      }
    }
  }

 private:
  __device__ T* Take(int count) {
    T* const first = next_;
    next_ += count * pixels_;
    return first;
  }

  int pixels_, channels_;
  T* of_edges_;
  T* next_;
  T* duals_;
  T *weights_ = nullptr, *lengths_ = nullptr, *directions_ = nullptr;
};

}  // namespace
}  // namespace jaxtv::cuda
