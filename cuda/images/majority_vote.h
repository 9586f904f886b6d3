// SPDX-License-Identifier: MIT
// The vote of cpu/images/majority_vote.h on which edges of unconverged images to take for fused.
#pragma once

#include "core/line.h"
#include "cuda/common/status.h"
#include "cuda/lines/wanted_lines.h"

namespace jaxtv::cuda {

// The edges to vote on lie along one axis, the lines along another one, whose own joined edges cut
// them into pieces.
struct VoteOperands {
  Lines lines;
  int64_t step;                // from a sample to the other end of its edge
  const unsigned char* edges;  // whether the edge joins
  const unsigned char* along;  // the same of the edges along `lines`
  unsigned char* kept;
  WantedLines wanted;  // of other images, `kept` may be anything
};

Status VoteOnEdges(cudaStream_t stream, const VoteOperands& operands);

}  // namespace jaxtv::cuda
