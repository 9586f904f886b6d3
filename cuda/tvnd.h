// SPDX-License-Identifier: MIT
// Operators on the images of an array, on a CUDA stream. `T` is float or double. All images are
// worked on together: an image is what edges connect, and an edge lies along one of the axes, so
// most steps need to know nothing but lines. All pointers are of device memory; nothing is
// allocated and nothing waits. The results have the same bits in every run.
#pragma once

#include <vector>

#include "core/line.h"
#include "cuda/status.h"

namespace jaxtv::cuda {

// One axis of the images, with the weights of the edges along it.
template <typename T>
struct TvAxis {
  Lines lines;
  WeightLayout weights;
  const T* lam;
};

// The mean of v over connected components of equal `y`, as cpu/tvnd.cc: edges of positive weight
// connect, and where y is NaN it is NoDerivative of v. Its error is the rounding of T and 2^-62 of
// the largest difference of two v in the component.
//
// `axes`: at least one. `scratch`: kComponentSampleBytes + axes.size() * kComponentAxisBytes bytes
// for each sample, aligned to 8.
template <typename T>
Status ComponentMean(cudaStream_t stream, const std::vector<TvAxis<T>>& axes, const T* y,
                     const T* v, T* mean, void* scratch);

// What the certificate needs to know of an axis besides.
template <typename T>
struct SolvedAxis : TvAxis<T> {
  const T* result;  // of the line solves along it, exactly constant on runs
  const T* dual;    // v_a
  // Which lines belong to which image: those at first[image] + member[j], j < members.
  WeightLayout first, member;
  int64_t members;
  // For each line, of which image the flag is: whether to fuse what wins the vote of cpu/vote.h,
  // not all that is equal.
  WeightLayout votes;
};

// The certificate of cpu/certificate.h: for each image a point z, the duality gap at it and a bound
// of its distance to the prox, both rounded up.
//
// `scratch`: kCertificateSampleBytes + axes.size() * kCertificateAxisBytes bytes for each sample.
template <typename T>
Status Certify(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images,
               const bool* vote, const T* x, T* z, T* gap, T* bound, void* scratch);

}  // namespace jaxtv::cuda
