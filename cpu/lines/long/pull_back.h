// SPDX-License-Identifier: MIT
// The derivative of the TV prox of long lines, shared by all threads and lanes.
//
// Each chunk of a line is pulled back as if it were a line. Then, line by line, the runs that cross
// the borders of chunks are pulled back again, with the slopes at their ends. Chunks, and so
// results, depend on the length of the line but not on the number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "core/pull_back.h"
#include "cpu/lines/long/run_sums.h"
#include "cpu/lines/pull_back_lines.h"
#include "cpu/threads/parallel_for.h"

namespace jaxtv {

// Samples of a chunk of a line of n: at most 4096, and as many chunks as fill lanes.
inline int64_t PullBackChunk(int64_t n) { return n / (16 * (n / (16 * 4096) + 1)); }

// Joins the derivatives of the chunks of one line.
template <typename T>
class ChunkJoiner {
 public:
  ChunkJoiner(const PullBackOperands<T>& p, int64_t line)
      : n_(p.lines.length),
        chunk_(PullBackChunk(n_)),
        per_edge_(p.per_edge()),
        lam_bar_{nullptr, p.lines.inner} {
    const PullBackLinePlace<T> at = p.At(line, 0);
    y_ = {at.y, p.lines.inner};
    lam_ = {at.lam, p.weights.edge_stride};
    v_ = {at.v, p.lines.inner};
    x_bar_ = {at.x_bar, p.lines.inner};
    lam_bar_.data = at.lam_bar;
  }

  // `sums`: the sum of the slopes within each chunk, for a line with one weight.
  void Join(Line<const T> sums) {
    if (!per_edge_ && lam_[0] == T(0)) {
      PullBackLine(y_, lam_, v_, n_, x_bar_, lam_bar_);  // x_bar is not the mean
      return;
    }
    int64_t done = 0;
    for (int64_t border = chunk_; border < n_; border += chunk_) {
      if (border >= done && Inside(border - 1)) done = JoinRun(border);
    }
    for (int64_t border = chunk_; border < n_; border += chunk_) {
      Add(border - 1, +1);
    }
    if (per_edge_) return;
    for (int64_t c = 0; c * chunk_ < n_; ++c) total_.Add(sums[c]);
    lam_bar_[0] = T(total_.Total());
  }

 private:
  bool Inside(int64_t edge) const {
    return y_[edge] == y_[edge + 1] && !(per_edge_ && lam_[edge] == T(0));
  }

  // Whether as many edges as vectors compare at once, from this one on, are known to be.
  static constexpr int64_t kStretch = 64;
  bool AllInside(int64_t edge) const {
    if (y_.stride != 1 || per_edge_) return false;
    const T* const y = &y_[edge];
    int unequal = 0;
    for (int64_t k = 0; k < kStretch; ++k) unequal += y[k] != y[k + 1];
    return unequal == 0;
  }

  // Averages the run across a border; returns where the next run starts.
  int64_t JoinRun(int64_t border) {
    int64_t first = border - 1, last = border;
    while (first > 0 && Inside(first - 1)) --first;
    while (last + kStretch < n_ && AllInside(last)) last += kStretch;
    while (last < n_ - 1 && Inside(last)) ++last;
    const T mean = v_[first] + T(SumOfRun(v_, first, last)) / T(last - first + 1);
    AddInner(first - 1, -1);
    AddInner(last, -1);
    for (int64_t k = first; k <= last; ++k) x_bar_[k] = mean;
    AddInner(first - 1, +1);
    AddInner(last, +1);
    return last + 1;
  }

  // Adds or takes away the slope at an edge within a chunk.
  void AddInner(int64_t edge, int sign) {
    if (edge >= 0 && edge < n_ - 1 && (edge + 1) % chunk_ != 0) Add(edge, sign);
  }

  void Add(int64_t edge, int sign) {
    const T slope = EdgeSlope(y_[edge], x_bar_[edge], y_[edge + 1], x_bar_[edge + 1]);
    if (per_edge_) {
      lam_bar_[edge] = slope;
    } else {
      total_.Add(sign < 0 ? -slope : slope);
    }
  }

  int64_t n_, chunk_;
  bool per_edge_;
  Line<const T> y_, lam_, v_;
  Line<T> x_bar_, lam_bar_;
  LongSum<T> total_;
};

// All lines of an array, which are longer than a chunk.
template <typename Pool, typename T>
void PullBackLongLines(Pool& pool, const PullBackOperands<T>& p) {
  const int64_t n = p.lines.length, inner = p.lines.inner, lines = p.lines.count();
  const int64_t chunk = PullBackChunk(n), whole = n / chunk, chunks = (n + chunk - 1) / chunk;
  const bool sums = !p.per_edge();
  std::vector<T> part(sums ? size_t(lines * chunks) : 0);
  // Chunks [first, end) of all lines, neighbouring lines side by side.
  const auto take = [&](int64_t first, int64_t end, int64_t length) {
    const int64_t per_group = (end - first) * inner;
    const auto place = [&](int64_t index) {
      const int64_t group = index / per_group, c = first + index % per_group / inner;
      const int64_t line = group * inner + index % inner;
      PullBackLinePlace<T> at = p.At(line, c * chunk);
      if (sums) at.lam_bar = &part[size_t(line * chunks + c)];
      return at;
    };
    ParallelFor(pool, p.lines.outer * per_group, 16, [&](int64_t a, int64_t b) {
      PullBackLines<T>(length, inner, p.weights.edge_stride, a, b, place);
    });
  };
  take(0, whole, chunk);
  if (whole < chunks) take(whole, chunks, n - whole * chunk);
  ParallelFor(pool, lines, 1, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) {
      ChunkJoiner<T>(p, line).Join({sums ? &part[size_t(line * chunks)] : nullptr, 1});
    }
  });
}

}  // namespace jaxtv
