// SPDX-License-Identifier: MIT
// A certificate of an image by one block: the steps of certificate.cu, with the same bits.
#pragma once

#include "cuda/images/certificate_steps.h"
#include "cuda/images/chip_image.h"
#include "cuda/images/component_steps.h"

namespace jaxtv::cuda {
namespace {  // as in scan.h

struct ChipCertificate {
  Lines lines[2];
  ChipSpace space;
  const float* x;
  const float *result[2], *dual[2];
  double rounding;

  // Reads the duals of the last sweep, and the residual that they leave. That of the first axis was
  // written before a barrier of ReadDualsOfPart.
  __device__ void Update() const {
#pragma unroll
    for (int a = 0; a < 2; ++a) {
      ForParts(lines[a], [&](const LinePart& part) {
        ReadDualsOfPart(part, lines[a], Weight(part, a), result[a], dual[a], a == 0 ? x : nullptr,
                        space.p[a], space.residual, space.joined[a]);
      });
    }
    __syncthreads();  // before edges of other threads are read
  }

  // The point, by vote or from all equalities; for the first thread, the gap at it and the bound.
  __device__ void Candidate(bool vote, float* gap, float* bound) const {
    if (vote) Vote();
    TakeMeans(vote ? space.voted[0] : space.joined[0], vote ? space.voted[1] : space.joined[1]);
    SumGap(gap, bound);
  }

  // Calls visit(offset) for the thread's samples.
  template <typename Visit>
  __device__ void ForSamples(const Visit& visit) const {
    const int samples = int(space.components.samples);
    for (int at = threadIdx.x; at < samples; at += kChipThreads) visit(at);
  }

 private:
  template <typename Visit>
  __device__ static void ForParts(const Lines& all, const Visit& visit) {
    const int blocks = int(PartBlocks(all));
    for (int block = 0; block < blocks; ++block) visit(LinePart(all, block));
  }

  __device__ Line<const float> Weight(const LinePart& part, int a) const {
    return {space.weights[a] + part.line, 0};
  }

  __device__ void Vote() const {
#pragma unroll
    for (int a = 0; a < 2; ++a) {
      ForParts(lines[1 - a], [&](const LinePart& part) {
        VoteOnPart(part, VotedLine(part, lines[1 - a], lines[a].inner, space.joined[a],
                                   space.joined[1 - a], space.voted[a]));
      });
    }
    __syncthreads();
  }

  // The means of the residual over the components that such edges join.
  __device__ void TakeMeans(const unsigned char* in_columns, const unsigned char* in_rows) const {
    const Components<int>& components = space.components;
    const double* const values = space.residual;
    ForParts(lines[1],
             [&](const LinePart& part) { LabelPart(part, lines[1], in_rows, components); });
    __syncthreads();
    ForSamples([&](int at) { LinkSample(at, lines[0].inner, in_columns, 1, in_rows, components); });
    __syncthreads();
    ForSamples([&](int at) { FlattenSample(at, values, components); });
    __syncthreads();
    const int rounds = int(CeilDiv(components.samples, kChipThreads));
    for (int i = 0; i < rounds; ++i) {
      const int at = i * kChipThreads + int(threadIdx.x);
      AddToRoot(at, at < components.samples, values, components);
    }
    __syncthreads();
    ForSamples([&](int at) { space.point[at] = MeanAt<float>(at, values, components); });
    __syncthreads();
  }

  // The terms of the lines take the places of the sums over components.
  __device__ void SumGap(float* gap, float* bound) const {
    double* const squares = reinterpret_cast<double*>(space.components.high);
    double* const excesses = reinterpret_cast<double*>(space.components.low);
    const int64_t columns = lines[0].count(), all = columns + lines[1].count();
#pragma unroll
    for (int a = 0; a < 2; ++a) {
      const int64_t before = a == 0 ? 0 : columns;
      ForParts(lines[a], [&](const LinePart& part) {
        GapOfPart(part, lines[a], Weight(part, a), space.point, space.p[a],
                  a == 0 ? space.residual : nullptr, squares + before, excesses + before);
      });
    }
    __syncthreads();
    if (threadIdx.x != 0) return;
    GapTerms total{0.0, 0.0};
    for (int64_t line = 0; line < all; ++line) {
      total.square += squares[line];
      total.excess += excesses[line];
    }
    WriteGap(total, rounding, gap, bound);
  }
};

}  // namespace
}  // namespace jaxtv::cuda
