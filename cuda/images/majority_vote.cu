// SPDX-License-Identifier: MIT
#include "cuda/common/launch.h"
#include "cuda/images/certificate_steps.h"
#include "cuda/images/majority_vote.h"

namespace jaxtv::cuda {
namespace {

template <bool kStaged>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    Vote(const Lines lines, const int64_t step, const unsigned char* __restrict__ edges,
         const unsigned char* __restrict__ along, unsigned char* __restrict__ kept,
         const WantedLines wanted) {
  const LinePart part(lines);
  if (!AnyWanted(part, lines, wanted)) return;
  const VotedLine line(part, lines, step, edges, along, kept);
  if constexpr (kStaged) {
    JAXTV_DYNAMIC_SHARED(unsigned char, cells);
    const StagedVotes votes{StagedLineOf(part, lines.length, cells, 0, 1)};
    part.ForSpread([&](int64_t k) {
      votes.bits[k] = (unsigned char)(line.Joins(k) | (line.EndsPiece(k) << 1));
    });
    __syncwarp();  // no line belongs to two warps
    VoteOnPart(part, votes);
    __syncwarp();
    part.ForSpread([&](int64_t k) { line.Keep(k, votes.Kept(k)); });
  } else {
    VoteOnPart(part, line);
  }
}

}  // namespace

Status VoteOnEdges(cudaStream_t stream, const VoteOperands& p) {
  const bool staged = PartsAreStaged(p.lines, 1);
  Grid grid = LinePartGrid(p.lines, stream);
  if (staged) grid.shared_bytes = size_t(StagedBytes(p.lines, 1));
  return Launch("Vote", staged ? Vote<true> : Vote<false>, grid, p.lines, p.step, p.edges, p.along,
                p.kept, p.wanted);
}

}  // namespace jaxtv::cuda
