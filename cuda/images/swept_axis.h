// SPDX-License-Identifier: MIT
// What a sweep does with the samples of an axis before and after the solves of its lines.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace jaxtv::cuda {

// What a sweep needs to know of the image of a sample: whether it is swept, and Nesterov's weight.
template <typename T>
struct OfImage {
  bool sweeping;
  T beta;
};

template <typename T>
struct SweptImages {
  const int* image_of;  // of each sample
  const int* sweeping;  // of each image, as the weight
  const T* beta;

  __device__ OfImage<T> Of(int64_t at) const {
    const int image = image_of[at];
    return {sweeping[image] != 0, beta[image]};
  }
};

// v + beta (v - u): where the last two sweeps point to. Without a dual, 0.
template <typename T>
struct Ahead {
  const T *dual, *previous;

  __device__ T operator()(T beta, int64_t at) const {
    if (dual == nullptr) return T(0);
    const T v = dual[at];
    return v + beta * (v - previous[at]);
  }
};

// Terms of sums over an image: the step against the gradient, the square of how far the results
// along two axes are apart, and that of the result.
template <typename T>
struct SweepTerms {
  T against, apart, energy;
};

// An axis of a sweep. A line solve takes z and gives y = prox(z); the dual is z - y.
template <typename T>
struct SweptAxis {
  SweptImages<T> images;
  bool is_first;
  const T* from;  // the first axis: the image less the other duals; else the result before
  // Of the second axis where this is the first one, else of this axis.
  Ahead<T> ahead;
  T *input, *result, *dual;
  T* previous;  // null for the first axis

  // z. The first axis keeps it in `input`; another one can be computed again until Finish.
  __device__ T Input(const OfImage<T>& image, int64_t at) const {
    const T step = ahead(image.beta, at);
    if (!is_first) return from[at] + step;
    return input[at] = from[at] - step;
  }

  // From y, the dual and what it adds to the sums.
  __device__ SweepTerms<T> Finish(const OfImage<T>& image, int64_t at, T y) const {
    if (is_first) {
      dual[at] = input[at] - y;
      return {T(0), T(0), y * y};
    }
    const T old = dual[at], start = ahead(image.beta, at), before = from[at];
    const T v = (before + start) - y, apart = y - before;
    previous[at] = old;
    dual[at] = v;
    return {(start - v) * (v - old), apart * apart, y * y};
  }
};

}  // namespace jaxtv::cuda
