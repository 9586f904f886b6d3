// SPDX-License-Identifier: MIT
#include "cuda/common/launch.h"
#include "cuda/images/line_parts.h"
#include "cuda/images/majority_vote.h"

namespace jaxtv::cuda {
namespace {

// Votes counted since the last end of a piece, if there was one.
struct Balance {
  int votes, ended;

  __device__ Balance Then(const Balance& next) const {
    return next.ended ? next : Balance{votes + next.votes, ended};
  }

  template <typename F>
  __device__ Balance Each(const F& f) const {
    return {f(votes), f(ended)};
  }
};

// The balance of a piece is known at its last edge; a scan from the end of the line to its
// beginning hands it to all edges of the piece.
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    Vote(const Lines lines, const int64_t step, const unsigned char* __restrict__ edges,
         const unsigned char* __restrict__ along, unsigned char* __restrict__ kept) {
  const LinePart part(lines);
  const int64_t samples = lines.count() * lines.length;
  const Line<const unsigned char> line = lines.At(edges, part.line);
  const auto ends_piece = [&](int64_t k) {
    const int64_t at = &line[k] - edges;
    return !along[at] || at + step >= samples || !along[at + step];
  };
  Balance mine{0, 0};
  for (int64_t k = part.begin; k < part.end; ++k) {
    mine.votes += line[k] ? 1 : -1;
    if (ends_piece(k)) mine = {0, 1};
  }
  const Balance nothing{0, 0};
  int balance = BeforePart<Direction::kForward>(part, mine, nothing).votes;

  const Line<unsigned char> out = lines.At(kept, part.line);
  Latest<int> verdict{0, 0};
  for (int64_t k = part.begin; k < part.end; ++k) {
    balance += line[k] ? 1 : -1;
    out[k] = balance > 0;
    if (!ends_piece(k)) continue;
    if (!verdict.set) verdict = {balance > 0, 1};
    balance = 0;
  }
  const Latest<int> none{0, 0};
  int hold = BeforePart<Direction::kBackward>(part, verdict, none).value;
  for (int64_t k = part.end - 1; k >= part.begin; --k) {
    if (ends_piece(k)) hold = out[k];
    out[k] = line[k] && hold;
  }
}

}  // namespace

Status VoteOnEdges(cudaStream_t stream, const VoteOperands& p) {
  return Launch("Vote", Vote, LinePartGrid(p.lines, stream), p.lines, p.step, p.edges, p.along,
                p.kept);
}

}  // namespace jaxtv::cuda
