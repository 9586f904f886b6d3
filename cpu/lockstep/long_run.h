// SPDX-License-Identifier: MIT
// The walk of core/tv1d.h along one run that is long, with lanes on consecutive samples.
//
// Let p_k = sum_{k0 <= i <= k} x_i - u_{k0-1} for a run that starts at k0. A level v keeps its dual
// path u_k = (k - k0 + 1) v - p_k within the bounds |u_k| <= w_k if
//
//   (p_k - w_k) / (k - k0 + 1) <= v <= (p_k + w_k) / (k - k0 + 1).
//
// So `low` is the greatest of these lower bounds and `high` the least of the upper ones. That is
// the walk without its paths: when no v is left, a bound of the sample just taken has passed the
// one of the other side, and the run ends at the sample that had set that one. The bounds of many
// samples are taken at once.
//
// Rounding: samples and levels are taken less a center near to the levels that are left, which
// moves whenever the run has doubled, so that sums are not much larger than the weights. But sums
// are added up in another order than the walk does, so another jump of two that tie but for
// rounding may be taken. The order is the same for all instruction sets.
#pragma once

#include <limits>

#include "core/tv1d.h"
#include "cpu/lockstep/kernels.h"
#include "cpu/simd/block.h"

namespace jaxtv {
namespace JAXTV_ISA {

// Levels that bound from above, in each lane the least, and the last places where they were taken.
// Levels that bound from below are kept with the opposite sign.
template <typename T>
struct Bounds {
  Block<T> level;
  IntVec<T> place[Block<T>::kParts];

  void Clear() {
    for (int i = 0; i < Block<T>::kParts; ++i) {
      constexpr T kNone = std::numeric_limits<T>::infinity();
      level.part[i] = Vec<T>{} + kNone;
      place[i] = IntVec<T>{};
    }
  }

  void Take(int i, Vec<T> next, IntVec<T> at) {
    place[i] = Select(AtMost(next, level.part[i]), at, place[i]);
    level.part[i] = Min<T>(level.part[i], next);
  }

  int64_t PlaceOf(T least) const {
    int64_t last = 0;
    for (int i = 0; i < Block<T>::kParts; ++i) {
      uint32_t lanes = Bits<T>(Equal(level.part[i], Vec<T>{} + least));
      for (; lanes != 0; lanes &= lanes - 1) {
        const int64_t at = place[i][__builtin_ctz(lanes)];
        if (at > last) last = at;
      }
    }
    return last;
  }

  void Raise(T by) {
    for (auto& part : level.part) part += by;
  }
};

template <typename T, bool kEdges>
class LongRun {
 public:
  LongRun(const ChunkedLine<T>& line, int64_t start, Jump<T> left)
      : line_(line), x_(line.x + start), start_(start) {
    state_.center = x_[0];
    state_.sum = -left.pull();
    state_.low.Clear();
    state_.high.Clear();
  }

  // The end of the run, of samples before `end`.
  RunEnd Walk(int64_t end) {
    // Behind the last sample of the line there is no edge.
    const int64_t most = (end < line_.length ? end : line_.length - 1) - start_;
    while (state_.taken + kBlock<T> <= most) {
      // As many blocks as a quarter of the run so far, so that not much is taken twice.
      int64_t blocks = state_.taken / (4 * kBlock<T>)+1;
      if (blocks > kMostBlocks) blocks = kMostBlocks;
      if (blocks > (most - state_.taken) / kBlock<T>) blocks = (most - state_.taken) / kBlock<T>;
      if (TakeBlocks(blocks)) continue;
      while (blocks > 1) {
        const int64_t half = blocks / 2;
        blocks = TakeBlocks(half) ? blocks - half : half;
      }
      const RunEnd run = TakeSingly(state_.taken + kBlock<T>);
      if (run.jump != 0) return run;
    }
    const RunEnd run = TakeSingly(end - start_);
    return run.jump != 0 ? run : RunEnd{end - 1, 0};
  }

  // The number of samples looked at.
  int64_t taken() const { return state_.taken; }

 private:
  static constexpr int64_t kMostBlocks = 64;

  struct State {
    T center, sum;
    int64_t taken = 0, centered = 0;
    Bounds<T> low, high;
  };

  // False, and nothing is taken, where that leaves no level.
  bool TakeBlocks(int64_t count) {
    const State before = state_;
    for (int64_t i = 0; i < count; ++i) TakeBlock();
    const T low = -Least(state_.low.level), high = Least(state_.high.level);
    if (low > high) {
      state_ = before;
      return false;
    }
    if (state_.taken >= 2 * state_.centered) Center(low + (high - low) / 2);
    return true;
  }

  void TakeBlock() {
    using V = Vec<T>;
    Block<T> sums;
    for (int i = 0; i < Block<T>::kParts; ++i) {
      sums.part[i] = Load<V>(x_ + state_.taken + i * kLanes<T>) - state_.center;
    }
    Accumulate(&sums);
    for (int i = 0; i < Block<T>::kParts; ++i) {
      const IntVec<T> place = Iota<T>() + Int<T>(state_.taken + i * kLanes<T>);
      const V inverse = T(1) / __builtin_convertvector(place + 1, V);
      const V p = sums.part[i] + state_.sum;
      V w = V{} + line_.cap;
      if (kEdges) w = Min<T>(w, Load<V>(line_.lam + start_ + state_.taken + i * kLanes<T>));
      state_.low.Take(i, (w - p) * inverse, place);
      state_.high.Take(i, (p + w) * inverse, place);
    }
    state_.sum += sums[kBlock<T> - 1];
    state_.taken += kBlock<T>;
  }

  // Adds `by` to the center.
  void Center(T by) {
    const T before = state_.center;
    state_.center += by;
    by = state_.center - before;
    state_.sum -= T(state_.taken) * by;
    state_.low.Raise(by);
    state_.high.Raise(-by);
    state_.centered = state_.taken;
  }

  // One sample after the other until there are as many, or the run ends.
  RunEnd TakeSingly(int64_t count) {
    T low = -Least(state_.low.level), high = Least(state_.high.level);
    int64_t low_place = state_.low.PlaceOf(-low), high_place = state_.high.PlaceOf(high);
    while (state_.taken < count) {
      const int64_t place = state_.taken++;
      state_.sum += x_[place] - state_.center;
      const T inverse = T(1) / T(state_.taken), w = Weight(start_ + place);
      const T lower = (state_.sum - w) * inverse, upper = (state_.sum + w) * inverse;
      if (low > upper) return {start_ + low_place, -1};
      if (lower > high) return {start_ + high_place, 1};
      if (lower >= low) {
        low = lower;
        low_place = place;
      }
      if (upper <= high) {
        high = upper;
        high_place = place;
      }
    }
    state_.low.Take(0, Vec<T>{} - low, IntVec<T>{} + Int<T>(low_place));
    state_.high.Take(0, Vec<T>{} + high, IntVec<T>{} + Int<T>(high_place));
    return {0, 0};
  }

  T Weight(int64_t k) const {
    if (k == line_.length - 1) return T(0);
    return kEdges && line_.lam[k] < line_.cap ? line_.lam[k] : line_.cap;
  }

  const ChunkedLine<T>& line_;
  const T* const x_;
  const int64_t start_;
  State state_;
};

}  // namespace JAXTV_ISA
}  // namespace jaxtv
