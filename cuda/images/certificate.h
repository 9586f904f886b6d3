// SPDX-License-Identifier: MIT
// The certificate of cpu/images/certificate.h, on a CUDA stream: for each image of an array a
// point, the duality gap at it and a bound of its distance to the prox. All pointers are of device
// memory; nothing is allocated and nothing waits. The results have the same bits in every run.
#pragma once

#include <vector>

#include "cuda/common/status.h"
#include "cuda/images/axes.h"

namespace jaxtv::cuda {

// An axis, with the line solves along it and the place of its lines among the images.
template <typename T>
struct SolvedAxis : TvAxis<T> {
  const T* result;  // of the line solves, exactly constant on runs
  const T* dual;    // v_a: the input of the line solves less their result
  // The lines of an image are those of number first[image] + member[j], j < members.
  WeightLayout first, member;
  int64_t members;
  // For each line, where in `vote` the flag of its image is.
  WeightLayout votes;
};

// A point z, the gap at it and the bound, both rounded up, for each image. Where `vote` is set, the
// fused edges are those that pass the majority vote; else, all edges with equal ends. `T` is
// float or double.
//
// `scratch`: kCertificateSampleBytes + axes.size() * kCertificateAxisBytes bytes for each sample
// (work_space.h), aligned to 8.
template <typename T>
Status Certify(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images,
               const bool* vote, const T* x, T* z, T* gap, T* bound, void* scratch);

}  // namespace jaxtv::cuda
