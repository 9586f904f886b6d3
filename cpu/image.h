// SPDX-License-Identifier: MIT
// One image, contiguous in memory, of any number of axes, and the blocks of lines it is worked on
// by: work is shared over blocks, and a block stays in cache from its first operation to its last.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/line.h"
#include "cpu/tv1d_lines.h"

namespace jaxtv {

struct Image {
  std::vector<int64_t> size;

  int axes() const { return int(size.size()); }

  int64_t pixels() const {
    int64_t count = 1;
    for (const int64_t n : size) count *= n;
    return count;
  }

  Lines Along(int axis) const {
    Lines lines{1, size[axis], 1};
    for (int a = 0; a < axis; ++a) lines.outer *= size[a];
    for (int a = axis + 1; a < axes(); ++a) lines.inner *= size[a];
    return lines;
  }
};

// The weights along one axis: the edge from pixel k to its next neighbour has data[k * step].
template <typename T>
struct AxisWeights {
  const T* data;
  int64_t step;  // 0: one weight for all

  T operator[](int64_t k) const { return data[k * step]; }
};

// A rectangle of memory that holds whole lines of one axis. Sample i of row r is pixel
// first + r * stride + i of the image and sample r * width + i of a buffer of the block's own.
struct LineBlock {
  int64_t first, rows, stride, width;
  Lines lines;  // in the buffer

  int64_t samples() const { return rows * width; }
};

// The blocks of the lines along one axis.
class LineBlocks {
 public:
  LineBlocks(const Image& image, int axis) : lines_(image.Along(axis)) {
    const int64_t per_block = std::max(kMinLines, kSamples / std::max<int64_t>(1, lines_.length));
    if (lines_.inner == 1) {
      per_block_ = std::min(per_block, lines_.outer);
      per_slab_ = (lines_.outer + per_block_ - 1) / per_block_;
      count_ = per_slab_;
    } else {
      per_block_ = std::min(per_block, lines_.inner);
      per_slab_ = (lines_.inner + per_block_ - 1) / per_block_;
      count_ = per_slab_ * lines_.outer;
    }
  }

  int64_t count() const { return count_; }

  LineBlock operator[](int64_t b) const {
    const int64_t n = lines_.length, begin = b % per_slab_ * per_block_;
    if (lines_.inner == 1) {
      const int64_t lines = std::min(per_block_, lines_.outer - begin);
      return {begin * n, 1, 0, lines * n, {lines, n, 1}};
    }
    const int64_t lines = std::min(per_block_, lines_.inner - begin);
    const int64_t slab = b / per_slab_ * n * lines_.inner;
    return {slab + begin, n, lines_.inner, lines, {1, n, lines}};
  }

 private:
  // Enough lines to fill vector registers, and about as many samples as the cache of a core takes.
  static constexpr int64_t kMinLines = 16;
  static constexpr int64_t kSamples = 16384;

  Lines lines_;
  int64_t per_block_, per_slab_, count_;
};

// The TV prox of the lines of a block, from buffer to buffer.
template <typename T>
void ProxBlock(const LineBlock& block, const AxisWeights<T>& weights, const T* in, T* out) {
  const Lines& lines = block.lines;
  WeightLayout layout;
  const T* lam = weights.data;
  if (weights.step != 0) {
    lam += block.first;
    layout.rank = 1;
    layout.size[0] = lines.count();
    layout.stride[0] = lines.inner == 1 ? lines.length : 1;
    layout.edge_stride = lines.inner == 1 ? 1 : block.stride;
  }
  ProxLines(lines, layout, in, lam, out, 0, lines.count());
}

}  // namespace jaxtv
