// SPDX-License-Identifier: MIT
// The lines of an array along one axis, cut into blocks. Work is shared over blocks, and a block
// stays in cache from its first operation to its last.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/line.h"

namespace jaxtv {

// Consecutive lines, `first_line` and on. Their samples fill `rows` stretches of memory: sample i
// of row r is element first + r * stride + i of the array, and element r * width + i of a buffer of
// the block's own, in which the lines lie as `lines` says.
struct LineBlock {
  int64_t first_line, first, rows, stride, width;
  Lines lines;

  int64_t samples() const { return rows * width; }

  // Calls f(k, j, count) for each stretch: `count` samples from element k of the array and from
  // element j of the buffer.
  template <typename F>
  void ForRows(const F& f) const {
    for (int64_t r = 0; r < rows; ++r) f(first + r * stride, r * width, width);
  }
};

// The `inner` lines that interleave in memory are a slab of the array. A block is a part of one
// slab, or several whole slabs, which are one stretch of memory.
class LineBlocks {
 public:
  // Blocks whose row r holds sample r of each line, or whose one row holds contiguous lines.
  static LineBlocks WithinSlabs(const Lines& lines) { return {lines, 64, 1}; }

  // Blocks of several slabs, wherever slabs are small enough.
  static LineBlocks OverSlabs(const Lines& lines) { return {lines, 32, INT64_MAX}; }

  int64_t count() const { return count_; }

  // No block has more samples than the first.
  LineBlock operator[](int64_t b) const {
    const int64_t n = lines_.length, inner = lines_.inner;
    if (per_slab_ == 0) {
      const int64_t begin = b * per_block_, outer = std::min(per_block_, lines_.outer - begin);
      return {begin * inner, begin * n * inner, 1, 0, outer * n * inner, {outer, n, inner}};
    }
    const int64_t outer = b / per_slab_, begin = b % per_slab_ * per_block_;
    const int64_t count = std::min(per_block_, inner - begin);
    return {outer * inner + begin, outer * n * inner + begin, n, inner, count, {1, n, count}};
  }

 private:
  // An image of 128 x 128 keeps two threads busy.
  static constexpr int64_t kSamples = 8192;

  // `min_lines` fill the vector registers, and of columns whole lines of the cache. `most_inner`:
  // the widest slabs that are taken whole.
  LineBlocks(const Lines& lines, int64_t min_lines, int64_t most_inner) : lines_(lines) {
    const int64_t wanted = std::max(min_lines, kSamples / std::max<int64_t>(1, lines.length));
    if (lines.inner <= std::min(wanted, most_inner)) {
      per_block_ = std::max<int64_t>(1, wanted / std::max<int64_t>(1, lines.inner));
      per_slab_ = 0;
      count_ = (lines.outer + per_block_ - 1) / per_block_;
    } else {
      per_block_ = wanted;
      per_slab_ = (lines.inner + wanted - 1) / wanted;
      count_ = per_slab_ * lines.outer;
    }
  }

  Lines lines_;
  int64_t per_block_;  // lines of a part, or whole slabs
  int64_t per_slab_;   // blocks of a slab; 0 where slabs are taken whole
  int64_t count_;
};

}  // namespace jaxtv
