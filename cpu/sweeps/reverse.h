// SPDX-License-Identifier: MIT
// The reverse of a fixed number of sweeps, from the codes that sweeps/forward.h keeps.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "core/sweeps.h"
#include "cpu/lines/pull_back_lines.h"
#include "cpu/sweeps/group.h"
#include "cpu/threads/buffer.h"

namespace jaxtv {

// The operands of the reverse, from the first sample of the array on. A weight's cotangent is one
// number per line, or one for each edge of each line.
template <typename T>
struct ReverseOperands {
  const T* y_bar;
  const uint8_t* bits;
  T* x_bar;
  std::vector<T*> lam_bars;
  std::vector<bool> edges;
};

template <typename T>
class GroupReverser {
 public:
  GroupReverser(const SweepGroup& group, const ReverseOperands<T>& operands)
      : group_(group), operands_(operands) {
    const int64_t pixels = group.pixels();
    total_memory_.resize((group.axes() - 1) * pixels);
    totals_.push_back(operands.x_bar + group.first_pixel());
    std::fill(totals_[0], totals_[0] + pixels, T(0));
    for (int a = 1; a < group.axes(); ++a)
      totals_.push_back(total_memory_.data() + (a - 1) * pixels);
    for (int a = 0; a < group.axes(); ++a) {
      const int64_t each = operands.edges[a] ? group.lines(a).length - 1 : 1;
      lam_bars_.push_back(operands.lam_bars[a] + group.first_line(a) * each);
      std::fill(lam_bars_[a], lam_bars_[a] + group.lines(a).count() * each, T(0));
    }
  }

  template <typename Run>
  void Solve(const Run& run) {
    const T* following = operands_.y_bar + group_.first_pixel();
    for (int64_t half = group_.axes() * group_.array().num_sweeps - 1; half >= 0; --half) {
      const int axis = int(half % group_.axes());
      run(group_.blocks(axis).count(), [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) SolveBlock(axis, b, half, following);
      });
      following = totals_[axis];
    }
  }

 private:
  void SolveBlock(int axis, int64_t b, int64_t half, const T* following) {
    const LineBlock block = group_.blocks(axis)[b];
    const Lines& lines = block.lines;
    const int64_t samples = block.samples();
    Buffer<T> buffer(3 * samples);
    T *v = buffer.data(), *level = v + samples, *mean = level + samples, *total = totals_[axis];
    block.ForRows([&](int64_t k, int64_t j, int64_t count) {
      const T *from = following + k, *own = total + k;
      for (int64_t i = 0; i < count; ++i) v[j + i] = from[i] - own[i];
    });
    Buffer<uint8_t> codes(2 * samples);
    LoadCodes(block, half, codes.data());
    Levels(lines, codes.data(), codes.data() + samples, level);
    RunMeanLines(lines, level, v, mean, 0, lines.count());
    if (operands_.edges[axis]) {
      AddPerEdge(axis, block, codes.data(), mean);
    } else {
      AddPerLine(lines, codes.data(), mean, level, lam_bars_[axis] + block.first_line);
    }
    // In x, the derivative of a line without weight is the identity.
    ForMarked(lines, codes.data(), kFree, [=](int64_t j) { mean[j] = v[j]; });
    block.ForRows([&](int64_t k, int64_t j, int64_t count) {
      T* to = total + k;
      for (int64_t i = 0; i < count; ++i) to[i] += mean[j + i];
    });
  }

  void LoadCodes(const LineBlock& block, int64_t half, uint8_t* codes) const {
    const int shift = CodeShift(half);
    group_.ForPlane(block, half, operands_.bits,
                    [codes, shift](const uint8_t* plane, int64_t j, int64_t count) {
                      for (int64_t i = 0; i < count; ++i) codes[j + i] = plane[i] >> shift & 3;
                    });
  }

  // Levels of which runs are the runs of equal numbers: 0 and 1 in turn, NaN on lines without a
  // prox.
  static void Levels(const Lines& lines, const uint8_t* codes, uint8_t* odd, T* level) {
    const int64_t inner = lines.inner;
    ForEdges(lines, [inner, codes, odd](int64_t j, int64_t, int64_t count) {
      std::fill(odd + j, odd + j + inner, uint8_t(0));
      if (inner == 1) {
        uint8_t side = 0;
        for (int64_t i = j; i < j + count; ++i) odd[i + 1] = side ^= uint8_t(codes[i] != kTied);
        return;
      }
      for (int64_t i = j; i < j + count; i += inner)
        NextRow(codes + i, odd + i, inner, odd + i + inner);
    });
    for (int64_t i = 0; i < lines.count() * lines.length; ++i) level[i] = T(odd[i]);
    ForMarked(lines, codes, kBad,
              [level](int64_t j) { level[j] = std::numeric_limits<T>::quiet_NaN(); });
  }

  static void NextRow(const uint8_t* codes, const uint8_t* odd, int64_t inner,
                      uint8_t* __restrict next) {
    for (int64_t i = 0; i < inner; ++i) next[i] = odd[i] ^ uint8_t(codes[i] != kTied);
  }

  void AddPerEdge(int axis, const LineBlock& block, const uint8_t* codes, const T* mean) {
    const int64_t inner = block.lines.inner, edges = block.lines.length - 1;
    const int64_t all = group_.lines(axis).inner, outer = block.first_line / all;
    T* first = lam_bars_[axis] + outer * edges * all + block.first_line % all;
    ForEdges(block.lines, [&](int64_t j, int64_t m, int64_t count) {
      for (int64_t i = 0; i < count; i += inner) {
        T* to = first + (m + i) / inner * all;
        for (int64_t c = 0; c < inner; ++c) to[c] -= Each(codes, mean, j + i + c, inner);
      }
    });
  }

  // `slopes`: memory for as many numbers as there are samples.
  static void AddPerLine(const Lines& lines, const uint8_t* codes, const T* mean, T* slopes,
                         T* lam_bar) {
    const int64_t inner = lines.inner, n = lines.length;
    if (inner == 1) {  // as if all lines were one; then a line's own edges
      for (int64_t j = 0; j < lines.outer * n - 1; ++j) slopes[j] = Each(codes, mean, j, 1);
      for (int64_t line = 0; line < lines.outer; ++line) {
        slopes[line * n + n - 1] = T(0);
        lam_bar[line] -= Sum(slopes + line * n, n);
      }
      return;
    }
    ForEdges(lines, [&](int64_t j, int64_t, int64_t count) {
      T* to = lam_bar + j / n;
      for (int64_t i = 0; i < count; i += inner) {
        for (int64_t c = 0; c < inner; ++c) to[c] -= Each(codes, mean, j + i + c, inner);
      }
    });
  }

  // The order of the additions is fixed, and lets compilers use vectors.
  static T Sum(const T* values, int64_t count) {
    constexpr int kWays = 8;
    T sum[kWays] = {};
    int64_t k = 0;
    for (; k + kWays <= count; k += kWays) {
      for (int w = 0; w < kWays; ++w) sum[w] += values[k + w];
    }
    for (; k < count; ++k) sum[0] += values[k];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
  }

  // s * (D mean) of one edge.
  static T Each(const uint8_t* codes, const T* mean, int64_t j, int64_t inner) {
    return T(SignOf(codes[j])) * (mean[j + inner] - mean[j]);
  }

  // Calls f(j) for each sample of the lines that have this code.
  template <typename F>
  static void ForMarked(const Lines& lines, const uint8_t* codes, LineCode code, const F& f) {
    const int64_t inner = lines.inner, n = lines.length;
    for (int64_t o = 0; o < lines.outer; ++o) {
      const int64_t begin = o * n * inner, last = begin + (n - 1) * inner;
      for (int64_t i = 0; i < inner; ++i) {
        if (codes[last + i] != code) continue;
        for (int64_t k = 0; k < n; ++k) f(begin + k * inner + i);
      }
    }
  }

  const SweepGroup& group_;
  const ReverseOperands<T>& operands_;
  std::vector<T> total_memory_;
  std::vector<T*> totals_, lam_bars_;
};

}  // namespace jaxtv
