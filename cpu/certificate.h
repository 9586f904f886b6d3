// SPDX-License-Identifier: MIT
// A primal point with a rigorous bound on its distance to the TV prox of an image.
//
// Any edge duals p with |p_e| <= w_e give a lower bound of the problem, so with r = x - D^T p the
// gap of any image z is
//
//   P(z) - D(p) = 1/2 |z - r|^2 + sum_e (w_e |(Dz)_e| - p_e (Dz)_e),
//
// a sum of terms that are at least 0: nothing cancels. By strong convexity the gap is at least
// 1/2 |z - x*|^2 + 1/2 |r - x*|^2, x* being the prox. With c = |z - r| it follows that
//
//   |z - x*| <= (c + sqrt(4 gap - c^2)) / 2,      between sqrt(gap) and sqrt(2 gap).
//
// The duals are read off the line solves: along a line p is the running sum of -v, and at a jump of
// x_a it is w times the sign of the jump, exactly. Clamped to [-w, w] they are feasible whatever
// rounding did, so that the bound holds also where it is far below the rounding of a
// float32 gap.
//
// The point is z = the mean of r over connected components of fused pixels. x_last is flat along
// its lines, but jitters between them, which its total variation pays for to first order; the means
// do not, and meet a tolerance in about half the sweeps.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "cpu/alternating.h"
#include "cpu/components.h"
#include "cpu/sum.h"
#include "cpu/vote.h"

namespace jaxtv {

struct Certificate {
  double gap = std::numeric_limits<double>::infinity();
  double bound = std::numeric_limits<double>::infinity();
};

template <typename T>
class Certifier {
 public:
  // Both must outlive this.
  Certifier(const Image& image, const Alternating<T>& solver)
      : image_(image),
        solver_(solver),
        components_(image),
        pixels_(image.pixels()),
        residual_(pixels_) {
    for (int a = 0; a < image.axes(); ++a) {
      step_.push_back(image.Along(a).inner);
      votes_.emplace_back(image, a);
    }
    for (int a = 0; a < image.axes(); ++a) {
      duals_.emplace_back(pixels_ + step_[a]);
      fused_.emplace_back(pixels_ + step_[0]);
      kept_.emplace_back(pixels_);
    }
  }

  // Reads the state after a sweep.
  template <typename Run>
  void Update(const Run& run) {
    for (int a = 0; a < image_.axes(); ++a) {
      const LineBlocks& blocks = solver_.blocks(a);
      run(blocks.count(), [&](int64_t begin, int64_t end) {
        std::vector<double> room;
        for (int64_t b = begin; b < end; ++b) ReadDuals(a, blocks[b], &room);
      });
    }
    run(Parts(), [&](int64_t begin, int64_t end) {
      for (int64_t k = begin * kPart; k < std::min(pixels_, end * kPart); ++k) {
        residual_[k] = double(solver_.x()[k]);
      }
      for (int a = 0; a < image_.axes(); ++a) {
        const T *after = p(a), *before = after - step_[a];
        for (int64_t k = begin * kPart; k < std::min(pixels_, end * kPart); ++k) {
          residual_[k] += double(after[k]) - double(before[k]);
        }
      }
    });
  }

  // Writes the point to z: from all equalities, or from those that win a vote.
  template <typename Run>
  Certificate Candidate(const Run& run, bool vote, T* z) {
    if (vote) {
      for (int a = 0; a < image_.axes(); ++a) votes_[a].Hold(run, fused_, kept_[a].data());
    }
    components_.Label(run, vote ? kept_ : fused_);
    components_.Average(run, residual_.data());
    run(Parts(), [&](int64_t begin, int64_t end) {
      for (int64_t k = begin * kPart; k < std::min(pixels_, end * kPart); ++k) {
        z[k] = T(components_.mean(k));
      }
    });
    const int64_t length = image_.size.back(), rows = pixels_ / length;
    const int64_t grain = std::max<int64_t>(1, kPart / length);
    std::vector<Terms> partial((rows + grain - 1) / grain);
    run(int64_t(partial.size()), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const int64_t last = std::min(rows, (b + 1) * grain);
        for (int64_t row = b * grain; row < last; ++row) AddRow(row, z, &partial[b]);
      }
    });
    double square = 0, jumps = 0;
    for (const Terms& p : partial) {
      square += p.square;
      jumps += p.jumps;
    }
    const double gap = square / 2 + jumps;
    return {gap, (std::sqrt(square) + std::sqrt(4 * gap - square)) / 2};
  }

 private:
  static constexpr int64_t kPart = 16384;  // pixels, where any cut of the image will do

  int64_t Parts() const { return (pixels_ + kPart - 1) / kPart; }

  struct Terms {
    double square = 0, jumps = 0;
  };

  // p of the edge from pixel k; with a slab of zeros in front, so that p of the edge to it is at
  // k - step.
  T* p(int axis) { return duals_[axis].data() + step_[axis]; }
  const T* p(int axis) const { return duals_[axis].data() + step_[axis]; }

  // The running sums of -v along the lines of a block, row by row of its rectangle where lines are
  // columns of it, else line by line.
  void ReadDuals(int axis, const LineBlock& block, std::vector<double>* room) {
    const int64_t n = block.lines.length;
    room->resize(2 * block.width);
    double *v = room->data(), *sum = v + block.width;
    if (block.lines.inner == 1) {
      BlockDual(axis, block.first, block.width, v);
      for (int64_t l = 0; l < block.lines.outer; ++l)
        ReadLine(axis, block.first + l * n, n, v + l * n);
      return;
    }
    std::fill(sum, sum + block.width, 0.0);
    for (int64_t r = 0; r < n; ++r) {
      const int64_t k = block.first + r * block.stride;
      BlockDual(axis, k, block.width, v);
      ReadRow(axis, k, block.width, r == n - 1, v, sum);
    }
  }

  // v_a of `count` pixels; v_0 is what the others and x_last leave of x.
  void BlockDual(int axis, int64_t first, int64_t count, double* v) const {
    if (axis > 0) {
      const T* dual = solver_.dual(axis) + first;
      for (int64_t i = 0; i < count; ++i) v[i] = double(dual[i]);
      return;
    }
    const T *x = solver_.x() + first, *y = solver_.last() + first;
    for (int64_t i = 0; i < count; ++i) v[i] = double(x[i]) - double(y[i]);
    for (int a = 1; a < image_.axes(); ++a) {
      const T* dual = solver_.dual(a) + first;
      for (int64_t i = 0; i < count; ++i) v[i] -= double(dual[i]);
    }
  }

  static double Dual(double sum, T jump, double w) {
    const double inside = std::min(std::max(sum, -w), w);
    return jump > T(0) ? w : jump < T(0) ? -w : inside;
  }

  // One edge of each of neighbouring lines.
  void ReadRow(int axis, int64_t first, int64_t count, bool last, const double* v, double* sum) {
    T* dual = p(axis) + first;
    uint8_t* fused = fused_[axis].data() + first;
    if (last) {
      std::fill(dual, dual + count, T(0));
      std::fill(fused, fused + count, uint8_t(0));
      return;
    }
    const T *y = solver_.result(axis) + first, *next = y + step_[axis];
    const AxisWeights<T>& weights = solver_.weights(axis);
    const T* w = weights.data + first * weights.step;
    const auto read = [&](int64_t i, double weight) {
      const T jump = next[i] - y[i];
      sum[i] = Dual(sum[i] - v[i], jump, weight);
      dual[i] = T(sum[i]);
    };
    if (weights.step == 0) {
      const double weight = double(*w);
      for (int64_t i = 0; i < count; ++i) read(i, weight);
      for (int64_t i = 0; i < count; ++i) fused[i] = (next[i] == y[i]) & (weight > 0);
    } else {
      for (int64_t i = 0; i < count; ++i) read(i, double(w[i]));
      for (int64_t i = 0; i < count; ++i) fused[i] = (next[i] == y[i]) & (w[i] > T(0));
    }
  }

  // All edges of one line whose samples are neighbours in memory.
  void ReadLine(int axis, int64_t first, int64_t n, const double* v) {
    const T* y = solver_.result(axis) + first;
    T* dual = p(axis) + first;
    uint8_t* fused = fused_[axis].data() + first;
    const AxisWeights<T>& weights = solver_.weights(axis);
    double sum = 0;
    for (int64_t i = 0; i + 1 < n; ++i) {
      const double w = double(weights[first + i]);
      sum = Dual(sum - v[i], y[i + 1] - y[i], w);
      dual[i] = T(sum);
      fused[i] = (y[i + 1] == y[i]) & (w > 0);
    }
    dual[n - 1] = T(0);
    fused[n - 1] = 0;
  }

  void AddRow(int64_t row, const T* z, Terms* terms) const {
    const int64_t length = image_.size.back(), first = row * length;
    LaneSum square, jumps;
    ForLanes(length, [&](int64_t i, int lane) {
      const double c = double(z[first + i]) - residual_[first + i];
      square.Add(lane, c, c);
    });
    for (int a = 0; a < image_.axes(); ++a) {
      const bool last_axis = a + 1 == image_.axes();
      if (!last_axis && first / step_[a] % image_.size[a] == image_.size[a] - 1) continue;
      const AxisWeights<T>& w = solver_.weights(a);
      const T* dual = p(a);
      ForLanes(last_axis ? length - 1 : length, [&](int64_t i, int lane) {
        const int64_t k = first + i;
        const double jump = double(z[k + step_[a]]) - double(z[k]);
        jumps.Add(lane, std::abs(jump) * double(w[k]) - jump * double(dual[k]));
      });
    }
    terms->square += square.Total();
    terms->jumps += jumps.Total();
  }

  const Image& image_;
  const Alternating<T>& solver_;
  Components components_;
  int64_t pixels_;
  std::vector<int64_t> step_;
  std::vector<Vote> votes_;
  std::vector<double> residual_;  // r
  std::vector<std::vector<T>> duals_;
  FusedEdges fused_, kept_;
};

}  // namespace jaxtv
