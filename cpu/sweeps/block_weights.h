// SPDX-License-Identifier: MIT
// The weights of the lines of a block, gathered where their places are not evenly spaced.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/line.h"

namespace jaxtv {

// The weights of the lines of a block, laid out for the lines of its buffer.
template <typename T>
class BlockWeights {
 public:
  // `first`: the number of the first line of the block among the lines of `layout`.
  BlockWeights(const WeightLayout& layout, const T* lam, const Lines& lines, int64_t first)
      : edges_(layout.edge_stride != 0 && lines.length > 1) {
    const int64_t count = lines.count();
    if (edges_) {
      GatherEdges(layout, lam, lines, first);
    } else if (OneForAll(layout, first, first + count - 1)) {
      data_ = layout.At(lam, first).data;
    } else {
      gathered_.resize(count);
      ForStretches(layout, first, count, [&](int64_t line, int64_t size, int64_t stride) {
        const T* from = layout.At(lam, first + line).data;
        for (int64_t i = 0; i < size; ++i) gathered_[line + i] = from[i * stride];
      });
      Use({1, {count}, {1}, 0});
    }
  }

  BlockWeights(const BlockWeights&) = delete;
  BlockWeights& operator=(const BlockWeights&) = delete;

  const WeightLayout& layout() const { return layout_; }

  // With edge weights, those of `inner` lines that interleave also interleave: `inner` for each
  // edge.
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
    gathered_.resize(lines.count() * edges);
    for (int64_t o = 0; o < lines.outer; ++o) {
      const int64_t begin = first + o * inner;
      ForStretches(layout, begin, inner, [&](int64_t i, int64_t size, int64_t stride) {
        const Line<const T> from = layout.At(lam, begin + i);
        for (int64_t k = 0; k < edges; ++k) {
          T* to = gathered_.data() + (o * edges + k) * inner + i;
          for (int64_t j = 0; j < size; ++j) to[j] = (&from[k])[j * stride];
        }
      });
    }
    Use({2, {lines.outer, inner}, {edges * inner, 1}, inner});
  }

  void Use(const WeightLayout& layout) {
    layout_ = layout;
    data_ = gathered_.data();
  }

  bool edges_;
  std::vector<T> gathered_;
  WeightLayout layout_;
  const T* data_ = nullptr;
};

}  // namespace jaxtv
