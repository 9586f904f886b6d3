// SPDX-License-Identifier: MIT
// Lines of an array along one axis in blocks that a thread works on in its cache.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/line.h"

namespace jaxtv {

// Consecutive lines, `first_line` and on. Their samples are `rows` stretches of memory: sample i of
// row r lies at first + r * stride + i of the array, and at r * width + i of a buffer, in which the
// lines lie as `lines` says.
struct SweepBlock {
  int64_t first_line, first, rows, stride, width;
  Lines lines;

  int64_t samples() const { return rows * width; }

  // Calls f(k, j, count) for each stretch: `count` samples from k of the array, j of the buffer.
  template <typename F>
  void ForRows(const F& f) const {
    for (int64_t r = 0; r < rows; ++r) f(first + r * stride, r * width, width);
  }
};

class SweepBlocks {
 public:
  explicit SweepBlocks(const Lines& lines) : lines_(lines) {
    const int64_t wanted = std::max(kMinLines, kSamples / std::max<int64_t>(1, lines.length));
    if (lines.inner <= wanted) {
      per_block_ = std::max<int64_t>(1, wanted / std::max<int64_t>(1, lines.inner));
      per_outer_ = 0;
      count_ = (lines.outer + per_block_ - 1) / per_block_;
    } else {
      per_block_ = wanted;
      per_outer_ = (lines.inner + wanted - 1) / wanted;
      count_ = per_outer_ * lines.outer;
    }
  }

  int64_t count() const { return count_; }

  SweepBlock operator[](int64_t b) const {
    const int64_t n = lines_.length, inner = lines_.inner;
    if (per_outer_ == 0) {  // whole groups of `inner` lines, one stretch of memory
      const int64_t begin = b * per_block_, outer = std::min(per_block_, lines_.outer - begin);
      return {begin * inner, begin * n * inner, 1, 0, outer * n * inner, {outer, n, inner}};
    }
    const int64_t outer = b / per_outer_, begin = b % per_outer_ * per_block_;
    const int64_t count = std::min(per_block_, inner - begin);
    return {outer * inner + begin, outer * n * inner + begin, n, inner, count, {1, n, count}};
  }

 private:
  // Enough lines to fill vector registers, and about as many samples as the cache of a core takes.
  static constexpr int64_t kMinLines = 32;
  static constexpr int64_t kSamples = 16384;

  Lines lines_;
  int64_t per_block_;  // lines, or groups of them
  int64_t per_outer_;  // blocks, or 0 for groups
  int64_t count_;
};

// The weights of the lines of a block, for the lines of its buffer.
template <typename T>
class BlockWeights {
 public:
  // `first`: the first of the lines, among all that `layout` is of.
  BlockWeights(const WeightLayout& layout, const T* lam, const Lines& lines, int64_t first)
      : edges_(layout.edge_stride != 0 && lines.length > 1) {
    const int64_t count = lines.count();
    if (edges_) {
      GatherEdges(layout, lam, lines, first);
    } else if (OneForAll(layout, first, first + count - 1)) {
      data_ = layout.At(lam, first).data;
    } else {
      room_.resize(count);
      ForStretches(layout, first, count, [&](int64_t line, int64_t size, int64_t stride) {
        const T* from = layout.At(lam, first + line).data;
        for (int64_t i = 0; i < size; ++i) room_[line + i] = from[i * stride];
      });
      Use({1, {count}, {1}, 0});
    }
  }

  BlockWeights(const BlockWeights&) = delete;
  BlockWeights& operator=(const BlockWeights&) = delete;

  const WeightLayout& layout() const { return layout_; }

  // With edges, those of a group of `inner` lines one after the other: `inner` for each edge.
  const T* data() const { return data_; }
  bool edges() const { return edges_; }

 private:
  static bool OneForAll(const WeightLayout& layout, int64_t first, int64_t last) {
    int64_t span = 1;
    for (int d = layout.rank - 1; d >= 0; span *= layout.size[d--]) {
      if (layout.stride[d] != 0 && first / span != last / span) return false;
    }
    return true;
  }

  // Calls f(line, size, stride) for stretches of the `count` lines whose weights lie evenly.
  template <typename F>
  static void ForStretches(const WeightLayout& layout, int64_t first, int64_t count, const F& f) {
    if (layout.rank == 0) return f(0, count, 0);
    const int64_t whole = layout.size[layout.rank - 1], stride = layout.stride[layout.rank - 1];
    for (int64_t line = 0; line < count;) {
      const int64_t size = std::min(count - line, whole - (first + line) % whole);
      f(line, size, stride);
      line += size;
    }
  }

  void GatherEdges(const WeightLayout& layout, const T* lam, const Lines& lines, int64_t first) {
    const int64_t edges = lines.length - 1, inner = lines.inner;
    room_.resize(lines.count() * edges);
    for (int64_t o = 0; o < lines.outer; ++o) {
      const int64_t begin = first + o * inner;
      ForStretches(layout, begin, inner, [&](int64_t i, int64_t size, int64_t stride) {
        const Line<const T> from = layout.At(lam, begin + i);
        for (int64_t k = 0; k < edges; ++k) {
          T* to = room_.data() + (o * edges + k) * inner + i;
          for (int64_t j = 0; j < size; ++j) to[j] = (&from[k])[j * stride];
        }
      });
    }
    Use({2, {lines.outer, inner}, {edges * inner, 1}, inner});
  }

  void Use(const WeightLayout& layout) {
    layout_ = layout;
    data_ = room_.data();
  }

  bool edges_;
  std::vector<T> room_;
  WeightLayout layout_;
  const T* data_ = nullptr;
};

}  // namespace jaxtv
