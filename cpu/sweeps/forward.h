// SPDX-License-Identifier: MIT
// A fixed number of sweeps over an array: the formulas of jaxtv/_operators/sweeps.py.
//
// Groups of samples (group.h) are solved independently. Within a group each half sweep goes over
// blocks of lines; a line belongs to one block, so no result depends on how work is shared.
//
// Memory beside the results: a group's duals, for all axes but one.
#pragma once

#include <atomic>
#include <cstring>
#include <vector>

#include "core/sweeps.h"
#include "cpu/lines/prox_lines.h"
#include "cpu/sweeps/block_weights.h"
#include "cpu/sweeps/group.h"
#include "cpu/threads/buffer.h"

namespace jaxtv {

// out = x - taken, but x bit for bit where `taken` is 0, since a subtraction may flush a subnormal
// x to 0.
template <typename T>
void Rest(int64_t n, const T* __restrict x, const T* __restrict taken, T* __restrict out) {
  for (int64_t i = 0; i < n; ++i) out[i] = taken[i] == T(0) ? x[i] : x[i] - taken[i];
}

template <typename T>
void CompareEach(int64_t n, const T* __restrict y, const T* __restrict next,
                 uint8_t* __restrict codes) {
  for (int64_t i = 0; i < n; ++i) codes[i] = CodeOf(y[i], next[i]);
}

// The codes of the half sweep that gave y. First each sample is compared with the next as if all
// lines of the block were one line; then cut edges and the last samples of lines get their codes.
template <typename T>
void WriteCodes(const Lines& lines, const BlockWeights<T>& weights, const T* y, uint8_t* codes) {
  const int64_t inner = lines.inner;
  CompareEach((lines.count() * lines.length) - inner, y, y + inner, codes);
  const bool varied = weights.layout().rank != 0, shared = !weights.edges() && lines.length > 1;
  const T* const w = weights.data();
  const uint8_t same = shared && !varied && *w == T(0) ? kFree : kPlain;
  ForEdges(lines, [&, inner](int64_t j, int64_t m, int64_t count) {
    uint8_t* const to = codes + j;
    if (weights.edges()) {
      for (int64_t i = 0; i < count; ++i) {
        if (to[i] == kTied && w[m + i] == T(0)) to[i] = kCut;
      }
    }
    std::fill(to + count, to + count + inner, same);
    if (!shared || !varied) return;
    for (int64_t i = 0; i < inner; ++i) {
      if (w[j / lines.length + i] == T(0)) to[count + i] = kFree;
    }
  });
}

// The operands of the sweeps, from the first sample of the array on.
template <typename T>
struct SweepOperands {
  const T* x;
  std::vector<const T*> lams;
  std::vector<WeightLayout> weights;
  T* y;
  uint8_t* bits;  // or null
};

template <typename T>
class GroupSweeper {
 public:
  GroupSweeper(const SweepGroup& group, const SweepOperands<T>& operands)
      : group_(group), operands_(operands), x_(operands.x + group.first_pixel()) {
    const int64_t pixels = group.pixels();
    dual_memory_.resize((group.axes() - 1) * pixels);
    for (int a = 0; a < group.axes() - 1; ++a) duals_.push_back(dual_memory_.data() + a * pixels);
    duals_.push_back(operands.y + group.first_pixel());  // until the last half sweep
    std::fill(duals_.back(), duals_.back() + pixels, T(0));
  }

  // True unless some result is NaN.
  template <typename Run>
  bool Solve(const Run& run) {
    const int64_t half_sweeps = group_.axes() * group_.array().num_sweeps;
    for (int64_t half = 0; half < half_sweeps; ++half) {
      const int axis = int(half % group_.axes());
      const bool last = half == half_sweeps - 1;
      run(group_.blocks(axis).count(), [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) SolveBlock(axis, b, half, last);
      });
    }
    return ok_;
  }

 private:
  void SolveBlock(int axis, int64_t b, int64_t half, bool last) {
    const LineBlock block = group_.blocks(axis)[b];
    const int64_t samples = block.samples();
    Buffer<T> buffer(2 * samples);
    T *z = buffer.data(), *y = z + samples, *dual = duals_[axis];
    Load(block, axis, z);
    const BlockWeights<T> weights(operands_.weights[axis], operands_.lams[axis], block.lines,
                                  group_.first_line(axis) + block.first_line);
    ProxLines(block.lines, weights.layout(), z, weights.data(), y, 0, block.lines.count());
    bool ok = true;
    block.ForRows([&](int64_t k, int64_t j, int64_t count) {
      if (last) {
        for (int64_t i = 0; i < count; ++i) ok &= y[j + i] == y[j + i];
        std::copy(y + j, y + j + count, dual + k);
      } else {
        for (int64_t i = 0; i < count; ++i) dual[k + i] = z[j + i] - y[j + i];
      }
    });
    if (!ok) ok_ = false;
    if (operands_.bits) StoreCodes(block, half, weights, y);
  }

  // z = x less the duals of the other axes.
  void Load(const LineBlock& block, int axis, T* z) const {
    const int first = axis == 0 ? 1 : 0;
    Buffer<T> sum(group_.axes() > 2 ? block.width : 0);
    block.ForRows([&](int64_t k, int64_t j, int64_t count) {
      const T* taken = duals_[first] + k;
      if (group_.axes() > 2) {
        std::copy(taken, taken + count, sum.data());
        for (int a = first + 1; a < group_.axes(); ++a) {
          if (a == axis) continue;
          const T* other = duals_[a] + k;
          for (int64_t i = 0; i < count; ++i) sum[i] += other[i];
        }
        taken = sum.data();
      }
      Rest(count, x_ + k, taken, z + j);
    });
  }

  void StoreCodes(const LineBlock& block, int64_t half, const BlockWeights<T>& weights,
                  const T* y) const {
    Buffer<uint8_t> codes(block.samples());
    WriteCodes(block.lines, weights, y, codes.data());
    const int shift = CodeShift(half);
    group_.ForPlane(block, half, operands_.bits,
                    [data = codes.data(), shift](uint8_t* plane, int64_t j, int64_t count) {
                      const uint8_t* from = data + j;
                      if (shift == 0) {
                        std::copy(from, from + count, plane);
                      } else {
                        for (int64_t i = 0; i < count; ++i) plane[i] |= uint8_t(from[i] << shift);
                      }
                    });
  }

  const SweepGroup& group_;
  const SweepOperands<T>& operands_;
  const T* x_;
  std::vector<T> dual_memory_;
  std::vector<T*> duals_;
  std::atomic<bool> ok_{true};
};

}  // namespace jaxtv
