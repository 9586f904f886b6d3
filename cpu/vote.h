// SPDX-License-Identifier: MIT
// Which edges of an unconverged image to take for fused.
//
// The result x_a of the line solves along axis a is exactly constant on runs along a, but jitters
// between lines, and some of its equalities are wrong. One wrong edge would join two large
// regions. So edges along an axis a vote: cut a pair of neighbouring lines along another axis b at
// every break of x_b in either line; on each piece the edges between the two lines stay fused where
// they are the majority.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "cpu/components.h"
#include "cpu/image.h"

namespace jaxtv {

// Votes on the edges along one axis; `raw` has room for one slab of axis 0 behind its last pixel.
class Vote {
 public:
  Vote(const Image& image, int axis)
      : axis_(axis),
        along_(axis + 1 < image.axes() ? image.axes() - 1 : 0),
        step_(image.Along(axis).inner),
        blocks_(image, along_) {}

  template <typename Run>
  void Hold(const Run& run, const FusedEdges& raw, uint8_t* kept) const {
    const uint8_t *edges = raw[axis_].data(), *joined = raw[along_].data();
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
  void OnRows(const LineBlock& block, const uint8_t* edges, const uint8_t* joined,
              uint8_t* kept) const {
    int64_t start = block.first, balance = 0;
    for (int64_t k = start; k < block.first + block.width; ++k) {
      balance += edges[k] ? 1 : -1;
      if (joined[k] & joined[k + step_]) continue;
      if (balance > 0) {
        std::copy(edges + start, edges + k + 1, kept + start);
      } else {
        std::fill(kept + start, kept + k + 1, uint8_t(0));
      }
      start = k + 1;
      balance = 0;
    }
  }

  // Down the columns `kept` becomes the majority so far, which is that of the piece at its last
  // edge; up again that is handed to the whole piece.
  void OnColumns(const LineBlock& block, const uint8_t* edges, const uint8_t* joined,
                 uint8_t* kept) const {
    std::vector<int32_t> balance(block.width, 0);
    for (int64_t r = 0; r < block.rows; ++r) {
      const int64_t k = block.first + r * block.stride;
      for (int64_t i = 0; i < block.width; ++i) {
        const int32_t sum = balance[i] + 2 * edges[k + i] - 1;
        kept[k + i] = sum > 0;
        balance[i] = sum * (joined[k + i] & joined[k + i + step_]);
      }
    }
    std::vector<uint8_t> verdict(block.width, 0);
    for (int64_t r = block.rows - 1; r >= 0; --r) {
      const int64_t k = block.first + r * block.stride;
      for (int64_t i = 0; i < block.width; ++i) {
        const uint8_t inside = joined[k + i] & joined[k + i + step_];
        verdict[i] = inside ? verdict[i] : kept[k + i];
        kept[k + i] = edges[k + i] & verdict[i];
      }
    }
  }

  int axis_, along_;
  int64_t step_;
  LineBlocks blocks_;
};

}  // namespace jaxtv
