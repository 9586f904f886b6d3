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

// Terms of sums over an image: the step against the gradient, the square of how far the results
// along two axes are apart, and that of the result.
template <typename T>
struct SweepTerms {
  T against, apart, energy;
};

// What a line solve starts from, at a sample: the image less the other duals, or the result along
// the axis before; and a dual after the last two sweeps, from which the next one sets out.
template <typename T>
struct SweptSample {
  T from, dual, previous;

  // v + beta (v - u): where the last two sweeps point to.
  __device__ T Ahead(T beta) const { return dual + beta * (dual - previous); }
};

// An axis of a sweep. A line solve takes z and gives y = prox(z); the dual is z - y. Reads and
// writes are apart, so that those of several samples can be on their way together.
template <typename T>
struct SweptAxis {
  SweptImages<T> images;
  const T* from;
  // Of the second axis where this is the first one, and null where there is none; else of this one.
  const T *ahead_dual, *ahead_previous;
  T *input, *result, *dual;
  T* previous;  // null for the first axis

  __device__ bool IsFirst() const { return previous == nullptr; }

  __device__ SweptSample<T> Read(int64_t at) const {
    if (ahead_dual == nullptr) return {from[at], T(0), T(0)};
    return {from[at], ahead_dual[at], ahead_previous[at]};
  }

  // z. The first axis keeps it in `input`; another one can compute it again until Finish.
  __device__ T Input(const OfImage<T>& image, const SweptSample<T>& sample, int64_t at) const {
    if (!IsFirst()) return sample.from + sample.Ahead(image.beta);
    return input[at] = sample.from - sample.Ahead(image.beta);
  }

  // What Finish takes: for the first axis z itself.
  __device__ SweptSample<T> ReadAgain(int64_t at) const {
    return IsFirst() ? SweptSample<T>{input[at], T(0), T(0)} : Read(at);
  }

  // From y, the dual and what it adds to the sums.
  __device__ SweepTerms<T> Finish(const OfImage<T>& image, const SweptSample<T>& sample, int64_t at,
                                  T y) const {
    if (IsFirst()) {
      dual[at] = sample.from - y;
      return {T(0), T(0), y * y};
    }
    const T old = sample.dual, start = sample.Ahead(image.beta);
    const T v = (sample.from + start) - y, apart = y - sample.from;
    previous[at] = old;
    dual[at] = v;
    return {(start - v) * (v - old), apart * apart, y * y};
  }
};

}  // namespace jaxtv::cuda
