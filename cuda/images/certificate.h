// SPDX-License-Identifier: MIT
// The certificate of cpu/images/certificate.h, on a CUDA stream: for each image of an array a
// point, the duality gap at it and a bound of its distance to the prox. All pointers are of device
// memory; nothing is allocated and nothing waits. The results have the same bits in every run.
#pragma once

#include <vector>

#include "cuda/common/status.h"
#include "cuda/images/axes.h"
#include "cuda/lines/wanted_lines.h"

namespace jaxtv::cuda {

struct GapTerms;

// What it finds for images that are not `wanted` may be anything. `scratch`:
// kCertificateSampleBytes + axes.size() * kCertificateAxisBytes bytes for each sample
// (work_space.h), aligned to 8. It is used from Update to the last Candidate alone.
template <typename T>
class Certifier {
 public:
  Certifier(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images, const T* x,
            const WantedLines& wanted, void* scratch);

  // Reads the duals of the last sweep, and the residual that they leave.
  Status Update() const;

  // A point z, the gap at it and the bound, both rounded up, for each image. With `vote` the fused
  // edges are those that pass the majority vote; else, all edges with equal ends.
  Status Candidate(bool vote, T* z, T* gap, T* bound) const;

 private:
  template <typename Label>
  Status CandidateWithLabels(bool vote, T* z, T* gap, T* bound) const;

  cudaStream_t stream_;
  const std::vector<SolvedAxis<T>>& axes_;
  int64_t images_, samples_;
  const T* x_;
  WantedLines wanted_;
  // Work space.
  GapTerms* gaps_;                              // of each image
  double* residual_;                            // x - D^T p
  std::vector<T*> duals_;                       // p along each axis
  std::vector<unsigned char*> joined_, voted_;  // whether edges join: all, and by vote
  void* components_;
};

}  // namespace jaxtv::cuda
