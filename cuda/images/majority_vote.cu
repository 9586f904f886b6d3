// SPDX-License-Identifier: MIT
#include "cuda/common/launch.h"
#include "cuda/images/certificate_steps.h"
#include "cuda/images/majority_vote.h"

namespace jaxtv::cuda {
namespace {

__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    Vote(const Lines lines, const int64_t step, const unsigned char* __restrict__ edges,
         const unsigned char* __restrict__ along, unsigned char* __restrict__ kept,
         const WantedLines wanted) {
  const LinePart part(lines);
  if (AnyWanted(part, lines, wanted)) VoteOnPart(part, lines, step, edges, along, kept);
}

}  // namespace

Status VoteOnEdges(cudaStream_t stream, const VoteOperands& p) {
  return Launch("Vote", Vote, LinePartGrid(p.lines, stream), p.lines, p.step, p.edges, p.along,
                p.kept, p.wanted);
}

}  // namespace jaxtv::cuda
