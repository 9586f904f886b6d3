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

#include "cpu/images/alternating.h"
#include "cpu/images/components.h"
#include "cpu/images/majority_vote.h"
#include "cpu/images/pixel_kernels.h"
#include "cpu/threads/buffer.h"

namespace jaxtv {

struct Certificate {
  double gap = std::numeric_limits<double>::infinity();
  double bound = std::numeric_limits<double>::infinity();
};

template <typename T>
class Certifier {
 public:
  // `image` and `solver` must outlive this.
  Certifier(const Image& image, const Alternating<T>& solver)
      : image_(image),
        solver_(solver),
        components_(image),
        length_(image.size.back()),
        rows_(image.pixels() / length_),
        grain_(std::max<int64_t>(1, kPart / length_)),
        residual_(image.pixels()) {
    const int64_t pixels = image.pixels();
    for (int a = 0; a < image.axes(); ++a) {
      step_.push_back(image.Along(a).inner);
      votes_.emplace_back(image, a);
      duals_.emplace_back(pixels + step_[a]);
      std::fill_n(duals_[a].data(), step_[a], T(0));
      fused_.emplace_back(pixels + step_[0]);
      std::fill_n(fused_[a].data() + pixels, step_[0], uint8_t(0));
      kept_.emplace_back(pixels);
    }
  }

  // p of the edge from pixel k to its next neighbour along an axis, 0 at the last; those of the
  // edges to it are at k - step.
  const T* p(int axis) const { return duals_[axis].data() + step_[axis]; }

  // Reads the duals, the residual r and the equalities off the solver, after a sweep.
  template <typename Run>
  void Update(const Run& run) {
    for (int a = 0; a < image_.axes(); ++a) {
      const LineBlocks& blocks = solver_.blocks(a);
      run(blocks.count(), [&](int64_t begin, int64_t end) {
        Buffer<double> buffer(2 * blocks[0].width);
        for (int64_t b = begin; b < end; ++b) {
          if (blocks[b].lines.inner == 1) {
            ReadLines(a, blocks[b]);
          } else {
            ReadRows(a, blocks[b], buffer.data());
          }
        }
      });
    }
    ForParts(run, [&](int64_t, int64_t first, int64_t end) {
      std::vector<const T*> after, before;
      for (int a = 0; a < image_.axes(); ++a) {
        after.push_back(p(a) + first);
        before.push_back(p(a) + first - step_[a]);
      }
      pixels_.residual(end - first, solver_.x() + first, after.data(), before.data(), image_.axes(),
                       residual_.data() + first);
    });
  }

  // Writes the point to z. Fuses all equal neighbours, or only those whose edge passes the majority
  // vote.
  template <typename Run>
  Certificate Candidate(const Run& run, bool vote, T* z) {
    if (vote) {
      for (int a = 0; a < image_.axes(); ++a) votes_[a].Apply(run, fused_, kept_[a].data());
    }
    components_.Label(run, vote ? kept_ : fused_);
    components_.Average(run, residual_.data());
    ForParts(run, [&](int64_t, int64_t first, int64_t end) { components_.Write(first, end, z); });
    std::vector<Terms> partial(Parts());
    ForParts(run, [&](int64_t part, int64_t first, int64_t end) {
      GapSums sums;
      pixels_.add_square(end - first, z + first, residual_.data() + first, &sums.square);
      for (int64_t k = first; k < end; k += length_) AddJumps(k, z, &sums.jumps);
      partial[part] = {sums.square.Total(), sums.jumps.Total()};
    });
    double square = 0, jumps = 0;
    for (const Terms& terms : partial) {
      square += terms.square;
      jumps += terms.jumps;
    }
    const double up = 1 + kRounding * double(image_.axes() * std::max(kPart, length_) + Parts());
    return {up * (square / 2 + jumps),
            up * ((std::sqrt(square) + std::sqrt(square + 4 * jumps)) / 2)};
  }

 private:
  // Pixels of a part, where the image may be cut between any rows.
  static constexpr int64_t kPart = 8192;

  // A sum of terms that are at least 0 grows by less than this for each addition.
  static constexpr double kRounding = std::numeric_limits<double>::epsilon();

  struct Terms {
    double square = 0, jumps = 0;
  };

  int64_t Parts() const { return (rows_ + grain_ - 1) / grain_; }

  // Calls f(part, its first pixel, its end) for parts of whole rows of the last axis.
  template <typename Run, typename F>
  void ForParts(const Run& run, const F& f) const {
    run(Parts(), [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        f(part, part * grain_ * length_, std::min(rows_, (part + 1) * grain_) * length_);
      }
    });
  }

  RowWeights<T> WeightsAt(int axis, int64_t k) const {
    const AxisWeights<T>& weights = solver_.weights(axis);
    return {weights.step == 0 ? nullptr : weights.data + k, *weights.data};
  }

  // The running sums of -v along the lines of a block that are its columns; `buffer` is for two
  // rows.
  void ReadRows(int axis, const LineBlock& block, double* buffer) {
    double *v = buffer, *sum = v + block.width;
    std::fill_n(sum, block.width, 0.0);
    for (int64_t r = 0; r < block.rows; ++r) {
      const int64_t k = block.first + r * block.stride;
      T* dual = duals_[axis].data() + step_[axis] + k;
      uint8_t* fused = fused_[axis].data() + k;
      if (r + 1 == block.rows) {
        std::fill_n(dual, block.width, T(0));
        std::fill_n(fused, block.width, uint8_t(0));
        return;
      }
      BlockDual(axis, k, block.width, v);
      const T* y = solver_.result(axis) + k;
      pixels_.edge_row(block.width, v, WeightsAt(axis, k), y, y + step_[axis], sum, dual, fused);
    }
  }

  // The same where each line is contiguous in memory.
  void ReadLines(int axis, const LineBlock& block) {
    const int64_t k = block.first;
    const T *y = solver_.result(axis) + k, *last = solver_.last() + k;
    pixels_.edge_lines(block.lines.outer, block.lines.length,
                       axis > 0 ? solver_.dual(axis) + k : solver_.x() + k,
                       axis > 0 ? nullptr : last, WeightsAt(axis, k), y,
                       duals_[axis].data() + step_[axis] + k, fused_[axis].data() + k);
  }

  // v_a of `count` pixels; v_0 is what the others and x_last leave of x.
  void BlockDual(int axis, int64_t first, int64_t count, double* v) const {
    if (axis > 0) {
      std::copy_n(solver_.dual(axis) + first, count, v);
      return;
    }
    std::vector<const T*> others;
    for (int a = 1; a < image_.axes(); ++a) others.push_back(solver_.dual(a) + first);
    pixels_.rest(count, solver_.x() + first, solver_.last() + first, others.data(),
                 int64_t(others.size()), v);
  }

  // Adds the terms of the edges from the pixels of the row of the last axis that starts at k.
  void AddJumps(int64_t k, const T* z, RowSum* jumps) const {
    for (int a = 0; a < image_.axes(); ++a) {
      const bool along = a + 1 == image_.axes();
      if (!along && k / step_[a] % image_.size[a] == image_.size[a] - 1) continue;
      pixels_.add_jumps(along ? length_ - 1 : length_, z + k, z + k + step_[a], WeightsAt(a, k),
                        p(a) + k, jumps);
    }
  }

  const Image& image_;
  const Alternating<T>& solver_;
  const PixelKernels<T>& pixels_ = Pixels<T>();
  Components components_;
  int64_t length_, rows_;  // the rows of the image along its last axis
  int64_t grain_;          // rows of a part
  std::vector<int64_t> step_;
  std::vector<MajorityVote> votes_;
  Buffer<double> residual_;  // r
  std::vector<Buffer<T>> duals_;
  FusedEdges fused_, kept_;
};

}  // namespace jaxtv
