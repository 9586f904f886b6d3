// SPDX-License-Identifier: MIT
// The run mean and the derivative of the TV prox of many lines, by the fastest kernels that this
// processor has. They all give the results of core/run.h and core/pull_back.h, bit for bit.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/line.h"
#include "core/pull_back.h"
#include "cpu/lockstep/this_processor.h"
#include "cpu/threads/memory.h"

namespace jaxtv {

// One line of each operand; lam is null for the run mean alone.
template <typename T>
struct PullBackLinePlace {
  const T* y;
  const T* lam;
  const T* v;
  T* x_bar;
  T* lam_bar;
};

// The operands of the derivative pulled back (core/pull_back.h).
template <typename T>
struct PullBackOperands {
  Lines lines;
  WeightLayout weights;
  const T* y;
  const T* lam;  // null for the run mean alone
  const T* v;
  T* x_bar;
  T* lam_bar;  // as lam, but full along all other axes

  bool per_edge() const { return weights.edge_stride != 0; }

  // A line of each operand, from sample k on.
  PullBackLinePlace<T> At(int64_t line, int64_t k) const {
    const int64_t outer = line / lines.inner, i = line % lines.inner;
    const int64_t at = (outer * lines.length + k) * lines.inner + i;
    if (lam == nullptr) return {y + at, nullptr, v + at, x_bar + at, nullptr};
    const int64_t edge = per_edge() ? (outer * (lines.length - 1) + k) * lines.inner + i : line;
    return {y + at, weights.At(lam, line).data + k * weights.edge_stride, v + at, x_bar + at,
            lam_bar + edge};
  }
};

template <typename T>
void PullBackAlone(const PullBackLinePlace<T>& line, int64_t n, int64_t stride,
                   int64_t edge_stride) {
  const Line<const T> y{line.y, stride}, v{line.v, stride};
  if (line.lam == nullptr) return RunMeanLine<T>(y, v, n, {line.x_bar, stride});
  PullBackLine<T>(y, {line.lam, edge_stride}, v, n, {line.x_bar, stride}, {line.lam_bar, stride});
}

// Pulls back the lines place(begin), ..., place(end - 1), of `n` samples each.
template <typename T, typename Place>
void PullBackLines(int64_t n, int64_t stride, int64_t edge_stride, int64_t begin, int64_t end,
                   const Place& place) {
  constexpr int64_t kMinLines = 4;  // fewer do not fill the lanes
  const LaneKernels<T>* const lanes = n < 2 ? nullptr : Lanes<T>();
  if (lanes != nullptr && end - begin >= kMinLines) {
    const Memory scratch = Allocate(3 * n * lanes->lanes * int64_t(sizeof(T)));
    PullBackBatch<T> batch = {n, stride, edge_stride};
    while (scratch && begin < end) {
      batch.count = int(std::min(lanes->lanes, end - begin));
      for (int l = 0; l < batch.count; ++l) {
        const PullBackLinePlace<T> line = place(begin + l);
        batch.y[l] = line.y;
        batch.lam[l] = line.lam;
        batch.v[l] = line.v;
        batch.x_bar[l] = line.x_bar;
        batch.lam_bar[l] = line.lam_bar;
      }
      lanes->pull_back(batch, scratch.get());
      for (int l = 0; l < batch.count; ++l) {
        if (batch.lam[l] == nullptr || edge_stride != 0 || *batch.lam[l] != T(0)) continue;
        CopyCotangent<T>({batch.y[l], stride}, {batch.v[l], stride}, n, {batch.x_bar[l], stride});
      }
      begin += batch.count;
    }
  }
  for (; begin < end; ++begin) PullBackAlone(place(begin), n, stride, edge_stride);
}

// Lines [begin, end).
template <typename T>
void PullBackLines(const PullBackOperands<T>& p, int64_t begin, int64_t end) {
  PullBackLines<T>(p.lines.length, p.lines.inner, p.weights.edge_stride, begin, end,
                   [&](int64_t line) { return p.At(line, 0); });
}

// The mean of `v` over each run of equal `y`, for lines [begin, end).
template <typename T>
void RunMeanLines(const Lines& lines, const T* y, const T* v, T* mean, int64_t begin, int64_t end) {
  PullBackLines<T>({lines, {}, y, nullptr, v, mean, nullptr}, begin, end);
}

}  // namespace jaxtv
