// SPDX-License-Identifier: MIT
// The edges of an unconverged image that are taken for fused: those that pass a majority vote.
//
// The result x_a of the line solves along axis a is exactly constant on runs along a, but jitters
// between lines, and some of its equalities are wrong. One wrong edge would join two large
// regions. So edges along an axis a are put to a vote: cut a pair of neighbouring lines along
// another axis b at every break of x_b in either line; on each piece the edges between the two
// lines stay fused where they are the majority.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/image.h"
#include "cpu/images/components.h"
#include "cpu/images/pixel_kernels.h"
#include "cpu/lines/blocks.h"

namespace jaxtv {

// The vote on the edges along one axis. Behind its last pixel, `fused` has one more slab of axis 0.
class MajorityVote {
 public:
  MajorityVote(const Image& image, int axis)
      : axis_(axis),
        along_(axis + 1 < image.axes() ? image.axes() - 1 : 0),
        step_(image.Along(axis).inner),
        blocks_(LineBlocks::WithinSlabs(image.Along(along_))) {}

  template <typename Run>
  void Apply(const Run& run, const FusedEdges& fused, uint8_t* kept) const {
    const uint8_t *edges = fused[axis_].data(), *joined = fused[along_].data();
    run(blocks_.count(), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const LineBlock block = blocks_[b];
        if (block.lines.inner == 1) {
          OnRows(block, edges, joined, kept);
        } else {
          OnColumns(block, edges, joined, kept);
        }
      }
    });
  }

 private:
  // Forward, `kept` becomes whether fused edges are the majority of their piece so far, which at
  // the last edge of a piece is the verdict. Backward, the verdict goes to every edge of the piece.
  void OnRows(const LineBlock& block, const uint8_t* edges, const uint8_t* joined,
              uint8_t* kept) const {
    const int64_t end = block.first + block.width;
    int32_t balance = 0;
    for (int64_t k = block.first; k < end; ++k) {
      balance += 2 * edges[k] - 1;
      kept[k] = balance > 0;
      balance &= -int32_t(joined[k] & joined[k + step_]);
    }
    uint8_t verdict = 0;
    for (int64_t k = end - 1; k >= block.first; --k) {
      const uint8_t inside = joined[k] & joined[k + step_];
      verdict = (verdict & inside) | (kept[k] & ~inside);
      kept[k] = edges[k] & verdict;
    }
  }

  // The same down the columns and up again.
  void OnColumns(const LineBlock& block, const uint8_t* edges, const uint8_t* joined,
                 uint8_t* kept) const {
    const PixelKernels<float>& pixels = Pixels<float>();  // bytes: either type would do
    std::vector<int32_t> balance(block.width, 0);
    for (int64_t r = 0; r < block.rows; ++r) {
      const int64_t k = block.first + r * block.stride;
      pixels.count_votes(block.width, edges + k, joined + k, joined + k + step_, balance.data(),
                         kept + k);
    }
    std::vector<uint8_t> verdict(block.width, 0);
    for (int64_t r = block.rows - 1; r >= 0; --r) {
      const int64_t k = block.first + r * block.stride;
      pixels.apply_verdicts(block.width, edges + k, joined + k, joined + k + step_, verdict.data(),
                            kept + k);
    }
  }

  int axis_, along_;
  int64_t step_;
  LineBlocks blocks_;
};

}  // namespace jaxtv
