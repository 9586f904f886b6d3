// SPDX-License-Identifier: MIT
// The walk of core/tv1d.h for a warp whose lanes have a line each and go in step: one loop, whose
// body takes one sample of every line, at each lane's own position.
//
// With `ref` the first sample of a run, t the sum of (x_i - ref) over its first d samples and -p
// the pull of the jump before it, the dual constraint at the last of them allows the run the levels
//
//   ref + (t - p - w) / d  ..  ref + (t - p + w) / d.
//
// `hi` is the smallest upper end so far and `lo` the largest lower one, less `ref`, and at_hi,
// at_lo are where they were attained. An upper end below lo means that the run ended at at_lo, by a
// jump down; a lower end above hi, at at_hi by a jump up. Its level is the end attained there,
// so nothing is summed again. At the end of the line both ends are ref + (t - p) / n.
//
// A run leaves one number: its level, in the slot of its last sample. In float alone: Kahan's sum
// of deviations keeps levels within 2 ulp of the largest sample of a run (W. Kahan, CACM 8(1),
// 1965), and 1 / d comes from a table. Contraction into fused multiply-adds would change no sum.
#pragma once

#include <math.h>

#include "core/line.h"

namespace jaxtv::cuda {

// The least weight of a line walked in float: what underflows is below the rounding of the weight.
constexpr float kLeastWeight = 7.8886091e-31f;  // 2^-100

// How many samples of a line of n a walk may take again before it gives up. A ramp takes up to
// n^2 / 2 again; from this budget on, divide and conquer is no slower.
JAXTV_HD constexpr int WalkBudget(int n) { return 16 * n; }
constexpr int kNeverOverBudget = 32;  // lines up to here: n (n - 1) / 2 is in the budget

// `Memory` gives the float at an address in bytes. Samples are `stride` floats apart (a number, or
// an integral constant), and so are the slots of the runs, `slots` bytes behind them. 1 / d is at
// address inverses + 4 d. Without kBudgeted, no line may go over its budget.
template <typename Memory, typename Stride, bool kBudgeted = true>
class LineWalk {
 public:
  JAXTV_HD LineWalk(Memory memory, int samples, int slots, Stride stride, int inverses, int n,
                    float weight)
      : memory_(memory),
        stride_(stride),
        slots_(slots),
        one_(inverses + 4),
        last_(samples + (n - 1) * Next()),
        w_(weight),
        at_(samples),
        at_lo_(samples),
        at_hi_(samples),
        d_(one_),
        budget_(WalkBudget(n) * Next()),
        ref_(memory[samples]),
        lo_(-weight),
        hi_(weight) {}

  JAXTV_HD bool AtEnd() const { return at_ == last_; }

  // Takes the next sample. Where a run ends, the walk goes back to the first sample of the next
  // run.
  JAXTV_HD void Step() {
    at_ += Next();
    d_ += 4;
    const float inverse = memory_[d_];
    const float term = (memory_[at_] - ref_) - carry_, sum = sum_ + term;
    carry_ = (sum - sum_) - term;
    sum_ = sum;
    const float w = AtEnd() ? 0.0f : w_;
    const float upper = (sum + (pull_ + w)) * inverse;
    const float lower = (sum + (pull_ - w)) * inverse;
    const bool down = upper<lo_, up = lower> hi_;
    at_hi_ = upper <= hi_ ? at_ : at_hi_;
    at_lo_ = lower >= lo_ ? at_ : at_lo_;
    hi_ = fminf(hi_, upper);
    lo_ = fmaxf(lo_, lower);
    if (down || up) Jump(down);
  }

  // At the end of the line, writes the last run. False if the budget ran out before.
  JAXTV_HD bool Finish() {
    Write(last_, d_ == one_ ? pull_ : lo_);
    return budget_ >= 0;
  }

 private:
  JAXTV_HD void Jump(bool down) {
    const int run_end = down ? at_lo_ : at_hi_;
    Write(run_end, down ? lo_ : hi_);
    if (kBudgeted) budget_ -= at_ - run_end;
    at_ = kBudgeted && budget_ < 0 ? last_ : run_end + Next();
    at_lo_ = at_hi_ = at_;
    d_ = one_;
    ref_ = memory_[at_];
    sum_ = carry_ = 0.0f;
    pull_ = down ? w_ : -w_;
    hi_ = pull_ + w_;
    lo_ = pull_ - w_;
  }

  // A jump that rounding closed or inverted is no jump: the two runs tie.
  JAXTV_HD void Write(int run_end, float deviation) {
    const float level = ref_ + deviation;
    const bool rose = pull_ < 0.0f;  // by the jump before the run
    level_ = rose ? fmaxf(level, level_) : fminf(level, level_);
    memory_[run_end + slots_] = level_;
  }

  JAXTV_HD int Next() const { return 4 * stride_; }

  const Memory memory_;
  const Stride stride_;
  const int slots_, one_, last_;
  const float w_;
  int at_, at_lo_, at_hi_, d_, budget_;
  float ref_, sum_ = 0.0f, carry_ = 0.0f;
  float pull_ = 0.0f;  // -p
  float lo_, hi_;
  float level_ = HUGE_VALF;  // the level of the run before
};

}  // namespace jaxtv::cuda
