// SPDX-License-Identifier: MIT
// Threshold divide and conquer (core/tv1d_divide.h) by one warp on a line of float with one weight,
// its samples in registers.
//
// The clamped sum is kept as (m + w) / 2w, for which clamping to [0, 1] is part of an addition. The
// ends of the line count as jumps down, of which the first sample less w and the last one plus w
// make no difference. So every segment begins at 0 or 1, behind a jump down or up, and there is no
// case without a jump. What is known of samples besides is bits of integers: a lane finds new jumps
// from the sides of all its samples at once.
//
// Sums of samples are added up once, at the beginning, and the sum of a segment is a difference of
// two of them. They are pairs of floats, the first ones multiples of a common power of two, so that
// their differences are exact. Levels are pairs too: what one float rounds off adds up over the
// samples of a long segment. Samples behind the end of the line are segments of their own.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <limits>

#include "core/line.h"
#include "cuda/common/scan.h"
#include "cuda/lines/warp_bits.h"
#include "cuda/lines/warp_lines.h"

namespace jaxtv::cuda {
namespace {

template <typename Shape>
class WarpDivide {
 public:
  static constexpr int kSamples = Shape::kSamples;
  using Bits = typename Shape::Bits;
  using Tests = BitTests<Shape>;

  // `sums` and `levels` are kCells pairs of shared memory each. `z` are the samples of this lane, 0
  // behind the end of the line of n, and `size` is the sum of their absolute values.
  __device__ WarpDivide(float (&z)[kSamples], float weight, float size, int n, float2* sums,
                        float2* levels)
      : z_(z), sums_(sums), levels_(levels) {
    lane_ = int(threadIdx.x) % Shape::kLanes;
    const int last = n - 1 - lane_ * kSamples;
    ends_ = last <= 0 ? Shape::kAll : last < kSamples ? Shape::kAll >> last : 0;
    inverse_ = 1.0f / (2.0f * weight);
    rounder_ = 6.0f * PowerBelow(size + 4.0f * weight);
    width_ = Split(2.0f * weight);
    AddUp(weight, last);
  }

  // Writes the prox to the cells, which may be the memory of the levels. So may that which `z` was
  // read from.
  __device__ void Solve(float* cells) {
    FindStarts();
    SetLevels();
    while (Round()) {
    }
    Write(cells);
  }

 private:
  struct Sides {
    Bits above, below;  // samples at which the clamped sum falls below 0, rises above 1
  };

  // The map m -> clip(m + step, lo, hi).
  struct ClampedStep {
    float step, lo, hi;
  };

  __device__ static float PowerBelow(float x) {
    return __uint_as_float(__float_as_uint(x) & 0x7f800000u);
  }

  // A number as a multiple of 2^-22 times the power of two above all sums, and the rest.
  __device__ float2 Split(float x) const {
    const float multiple = (x + rounder_) - rounder_;
    return {multiple, x - multiple};
  }

  __device__ static float2 Plus(float2 a, float2 b) { return {a.x + b.x, a.y + b.y}; }

  // The lanes after this one, and those before it, among `lanes`.
  __device__ unsigned After(unsigned lanes) const { return lanes & (~1u << lane_); }
  __device__ unsigned Before(unsigned lanes) const { return lanes & ((1u << lane_) - 1); }

  // Sums of the samples before each one and, in the cell behind, of all.
  __device__ void AddUp(float weight, int last) {
    const float2 pull = Split(weight);
    const auto add = [&](float2 sum, int k) {
      const float2 sample = Split(z_[k]);
      if (k == last) sum = Plus(sum, pull);
      const float2 rest = Split(sum.y + sample.y);
      return float2{sum.x + sample.x + rest.x, rest.y};
    };
    float2 own = {0.0f, 0.0f};
    if (lane_ == 0) own = {-pull.x, -pull.y};
    float2 before = own;
#pragma unroll
    for (int k = 0; k < kSamples; ++k) own = add(own, k);
    float2 all = own;
#pragma unroll
    for (int distance = 1; distance < Shape::kLanes; distance *= 2) {
      const float2 left = {__shfl_up_sync(kAllLanes, all.x, distance),
                           __shfl_up_sync(kAllLanes, all.y, distance)};
      if (lane_ >= distance) all = Plus(left, all);
    }
    const float2 left = {__shfl_up_sync(kAllLanes, all.x, 1), __shfl_up_sync(kAllLanes, all.y, 1)};
    if (lane_ > 0) before = left;
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      sums_[k * Shape::kPitch + lane_] = k == 0 && lane_ == 0 ? float2{0.0f, 0.0f} : before;
      before = add(before, k);
      if (k == last) z_[k] += weight;
    }
    if (lane_ == 0) z_[0] -= weight;
    if (lane_ == Shape::kLanes - 1) sums_[Shape::kLanes] = before;
    __syncwarp();
  }

  // From ends_ and ups_: where segments start, and which of them behind a jump up.
  __device__ void FindStarts() {
    const unsigned ends = __ballot_sync(kAllLanes, int(ends_ & 1)) << 1 | 1;
    const unsigned ups = __ballot_sync(kAllLanes, int(ups_ & 1)) << 1;
    const auto first = [&](unsigned lanes) { return Bits(lanes >> lane_ & 1) << (kSamples - 1); };
    starts_ = ends_ >> 1 | first(ends);
    rising_ = ups_ >> 1 | first(ups);
  }

  // Sets the level of each segment, the mean of the solution over it, at its start.
  __device__ void SetLevels() {
    const unsigned after = After(__ballot_sync(kAllLanes, starts_ != 0));
    const int bit = starts_ != 0 ? HighestBit(starts_) : 0;
    const int own = 2 * (lane_ * kSamples + kSamples - 1 - bit) + int(rising_ >> bit & 1);
    const int code = __shfl_sync(kAllLanes, own, after != 0 ? LowestBit(after) : lane_);
    const int next = after != 0 ? code : 2 * Shape::kLanes * kSamples;
    float2 end = sums_[Shape::Cell(next / 2)];
    if (next % 2 != 0) end = Plus(end, width_);
    float position = float(next / 2 - lane_ * kSamples);
    __syncwarp();  // before levels change that other lanes have read
    const Tests starts(starts_), rising(rising_);
#pragma unroll
    for (int k = kSamples - 1; k >= 0; --k) {
      if (starts[k]) {
        float2 start = sums_[k * Shape::kPitch + lane_];
        if (rising[k]) start = Plus(start, width_);
        const float2 sum = {end.x - start.x, end.y - start.y};
        const float count = position - float(k), inverse = __fdividef(1.0f, count);
        const float mean = sum.x * inverse;
        const float rest = (__fmaf_rn(-mean, count, sum.x) + sum.y) * inverse;
        levels_[k * Shape::kPitch + lane_] = {mean, rest};
        end = start;
        position = float(k);
      }
    }
    __syncwarp();
  }

  // The level of the segment to which the sample before this lane belongs; lane 0 has none.
  __device__ float2 LevelBefore() const {
    const unsigned before = Before(__ballot_sync(kAllLanes, starts_ != 0));
    const int own = starts_ != 0 ? kSamples - 1 - LowestBit(starts_) : 0;
    const int lane = before != 0 ? HighestBit(before) : 0;
    const int k = __shfl_sync(kAllLanes, own, lane);
    return levels_[k * Shape::kPitch + lane];
  }

  // Cuts every segment at the changes of side; false if there was none.
  __device__ bool Round() {
    float steps[kSamples];
    const ClampedStep all = Steps(LevelBefore(), steps);
    const Sides sides = Decide(SumAtLane(all), steps);
    const Bits jumps = FindJumps(sides);
    if (!__any_sync(kAllLanes, jumps != 0)) return false;
    FindStarts();
    SetLevels();
    return true;
  }

  // The steps of the clamped sum, with the beginning of each segment in its first one, and the map
  // of them all.
  __device__ ClampedStep Steps(float2 level, float (&steps)[kSamples]) const {
    const Tests starts(starts_), again(starts_), rising(rising_);
    ClampedStep all{0.0f, 0.0f, 1.0f};
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      if (starts[k]) level = levels_[k * Shape::kPitch + lane_];
      float step = ((level.x - z_[k]) + level.y) * inverse_;
      if (rising[k]) step += 1.0f;
      const float keep = again[k] ? 0.0f : 1.0f;
      all.lo = __saturatef(__fmaf_rn(all.lo, keep, step));
      all.hi = __saturatef(__fmaf_rn(all.hi, keep, step));
      all.step += step;
      steps[k] = step;
    }
    return all;
  }

  // The clamped sum before the lane's first sample. A lane with a start has a constant map, lane 0
  // among them, so it suffices to go back to the last such lane; what a lane takes beyond that
  // changes nothing.
  __device__ float SumAtLane(ClampedStep all) const {
    unsigned open = ~__ballot_sync(kAllLanes, starts_ != 0);
    for (int distance = 1; open != 0; distance *= 2) {
      const float step = __shfl_up_sync(kAllLanes, all.step, distance);
      const float lo = __shfl_up_sync(kAllLanes, all.lo, distance);
      const float hi = __shfl_up_sync(kAllLanes, all.hi, distance);
      const auto next = [&](float m) { return fminf(fmaxf(m + all.step, all.lo), all.hi); };
      all = {step + all.step, next(lo), next(hi)};
      open &= open << distance;
    }
    return __shfl_up_sync(kAllLanes, all.lo, 1);
  }

  __device__ Sides Decide(float m, const float (&steps)[kSamples]) const {
    constexpr int kOfWord = kSamples < 32 ? kSamples : 32;
    const Tests starts(starts_);
    Sides sides{0, 0};
#pragma unroll
    for (int begin = 0; begin < kSamples; begin += kOfWord) {
      uint32_t above = 0, below = 0;
#pragma unroll
      for (int k = begin; k < begin + kOfWord; ++k) {
        const float keep = starts[k] ? 0.0f : 1.0f;
        m = __fmaf_rn(m, keep, steps[k]);
        above = __funnelshift_l(__float_as_uint(m), above, 1);
        below = __funnelshift_l(__float_as_uint(1.0f - m), below, 1);
        m = __saturatef(m);
      }
      const int shift = kSamples - kOfWord - begin;
      sides.above |= Bits(above) << shift;
      sides.below |= Bits(below) << shift;
    }
    return sides;
  }

  // Marks the new jumps and returns them. Undecided samples follow their right neighbour: within
  // a lane by the carry of an addition, which runs from the lowest bit, the last sample, through
  // all undecided ones.
  __device__ Bits FindJumps(const Sides& sides) {
    const Bits up = sides.above | (ends_ & ups_ & ~sides.below);
    const Bits known = sides.above | sides.below | ends_;
    const unsigned lanes = __ballot_sync(kAllLanes, known != 0);
    const bool first_up = known != 0 && (up >> HighestBit(known) & 1) != 0;
    const unsigned up_lanes = __ballot_sync(kAllLanes, first_up);
    const unsigned after = After(lanes);
    const Bits behind = after != 0 && (up_lanes & (after & (0u - after))) != 0 ? 1 : 0;
    const Bits unknown = Shape::kAll & ~known;
    const Bits carried = (up << 1 | behind) & unknown;
    const Bits side = up | (unknown & ~(unknown + carried));
    const Bits right = side << 1 | behind;
    const Bits jumps = (side ^ right) & ~ends_ & Shape::kAll;
    ups_ |= jumps & right;
    ends_ |= jumps;
    return jumps;
  }

  // As in RunWriter, a jump that rounding closed or inverted is no jump.
  __device__ void Write(float* cells) {
    const float2 left = LevelBefore();
    float before = left.x + left.y, values[kSamples];
    if (lane_ == 0) before = std::numeric_limits<float>::infinity();
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      const float2 level =
          Shape::Has(starts_, k) ? levels_[k * Shape::kPitch + lane_] : float2{0.0f, 0.0f};
      values[k] = level.x + level.y;
    }
    __syncwarp();
    bool changed = true;
    while (__any_sync(kAllLanes, changed)) {
      float value = before;
      const Tests again(starts_), rising(rising_);
#pragma unroll
      for (int k = 0; k < kSamples; ++k) {
        const float bounded =
            Shape::Has(rising_, k) ? fmaxf(values[k], value) : fminf(values[k], value);
        value = Shape::Has(starts_, k) ? bounded : value;
        cells[k * Shape::kPitch + lane_] = value;
      }
      const float left = __shfl_up_sync(kAllLanes, value, 1);
      changed = lane_ > 0 && left != before;
      if (changed) before = left;
    }
  }

  float (&z_)[kSamples];
  float2 width_;   // 2 w, the range of the clamped sum
  float inverse_;  // 1 / 2w
  float rounder_;  // adding it rounds
  float2* sums_;
  float2* levels_;
  int lane_;
  Bits ends_, ups_ = 0;   // with a jump behind them, and that up; also behind the line
  Bits starts_, rising_;  // the first ones of segments, and those behind a jump up
};

}  // namespace
}  // namespace jaxtv::cuda
