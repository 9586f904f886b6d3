// SPDX-License-Identifier: MIT
// Threshold divide and conquer, core/tv1d_divide.h, in lock step: one line of a tile per vector
// lane, all segments of all of them in each round. A round is three regular sweeps: the levels of
// the segments from sums over them, right to left; the clamped sums against them, left to right;
// the jumps, right to left. Where a jump is known both bounds of the clamped sum are its pull, so
// that the sum starts the next segment by itself.
#pragma once

#include "cpu/simd_wide.h"

namespace jaxtv {
namespace JAXTV_ISA {

// What is known of sample k of each line: the jump after it, and its side of the level.
template <typename T>
struct DivideRow {
  Mask<T> up, down;
  Mask<T> above, below;
};

// `tile` and `weights`: n rows, of the weights only one unless they are per edge. Work space:
// `levels`, n rows of doubles. The jumps come back in `rows`, of which there are n.
template <typename T, bool kEdges>
class TileDivider {
  using V = Vec<T>;
  using M = Mask<T>;
  static constexpr int kRow = kLanes<T>;

 public:
  TileDivider(const T* tile, const T* weights, int64_t n, double* levels, DivideRow<T>* rows)
      : tile_(tile), weights_(weights), n_(n), levels_(levels), rows_(rows) {}

  void Run() {
    for (int64_t k = 0; k < n_; ++k) rows_[k] = DivideRow<T>{};
    do {
      FindLevels();
      DecideSides();
    } while (FindJumps());
  }

 private:
  V Weight(int64_t k) const { return Load<V>(weights_ + (kEdges ? k * kRow : 0)); }

  // The sum of a segment, from its right end.
  struct Segment {
    V origin{}, count{}, pull{};
    Sum<T> sum;
  };

  // Writes the levels of the segments that start at row k, after a jump that pulls `left`.
  void StoreLevels(int64_t k, const Segment& s, V left) {
    const Wide<T> total = s.sum.Total(), origin = Widen(s.origin), count = Widen(s.count);
    const Wide<T> right = Widen(s.pull), before = Widen(left), guess = Widen(V(T(1) / s.count));
    for (int p = 0; p < kParts<T>; ++p) {
      Vec<double> inverse = guess.part[p];
      if (kParts<T> > 1) inverse = inverse * (2.0 - count.part[p] * inverse);
      const Vec<double> sum = total.part[p] + (right.part[p] - before.part[p]);
      Store(levels_ + k * kRow + p * kLanes<double>, origin.part[p] + sum * inverse);
    }
  }

  // Right to left: undecided samples follow their neighbour, changes of side become jumps. Whether
  // there was one.
  bool FindJumps() {
    M right = rows_[n_ - 1].above, split{};
    for (int64_t k = n_ - 2; k >= 0; --k) {
      DivideRow<T>& row = rows_[k];
      const M end = M(row.up | row.down);
      const M side = M(row.above | (right & ~(row.below | end)));
      const M jump = M((side ^ right) & ~end);
      row.up = M(row.up | (jump & right));
      row.down = M(row.down | (jump & side));
      split = M(split | jump);
      right = side;
    }
    return Bits<T>(split) != 0;
  }

  // Right to left: the sums of all segments.
  void FindLevels() {
    Segment s;
    M end = FromBits<T>(kAllLanes<T>);
    V pull{};
    for (int64_t k = n_ - 1;; --k) {
      const V x = Load<V>(tile_ + k * kRow), zero{};
      s.origin = Select(end, x, s.origin);
      s.pull = Select(end, pull, s.pull);
      s.count = Select(end, zero, s.count) + T(1);
      s.sum.Add(end, V(x - s.origin));
      if (k == 0) break;
      const DivideRow<T> before = rows_[k - 1];
      end = M(before.up | before.down);
      if (Bits<T>(end) == 0) continue;
      const V w = Weight(k - 1);
      pull = Select(before.up, w, Select(before.down, V(-w), zero));
      StoreLevels(k, s, pull);
    }
    StoreLevels(0, s, V{});
  }

  void DecideSides() {
    Wide<T> m{}, level{};
    M start = FromBits<T>(kAllLanes<T>);
    Wide<T> w = Widen(Weight(0));
    for (int64_t k = 0; k < n_; ++k) {
      DivideRow<T>& row = rows_[k];
      const Wide<T> x = Widen(Load<V>(tile_ + k * kRow));
      if (kEdges) w = Widen(Weight(k));
      if (k == n_ - 1) w = {};
      Mask<double> above[kParts<T>], below[kParts<T>];
      for (int p = 0; p < kParts<T>; ++p) {
        const Vec<double> here = Load<Vec<double>>(levels_ + k * kRow + p * kLanes<double>);
        const Vec<double> minus = -w.part[p];
        level.part[p] = Select(WideMask(start, p), here, level.part[p]);
        const Vec<double> sum = m.part[p] + (level.part[p] - x.part[p]);
        const Vec<double> lo = Select(WideMask(row.up, p), w.part[p], minus);
        const Vec<double> hi = Select(WideMask(row.down, p), minus, w.part[p]);
        above[p] = Less(sum, lo);
        below[p] = Less(hi, sum);
        m.part[p] = Min<double>(Max<double>(sum, lo), hi);
      }
      row.above = JoinMasks(above);
      row.below = JoinMasks(below);
      start = M(row.up | row.down);
    }
  }

  const T* tile_;
  const T* weights_;
  int64_t n_;
  double* levels_;
  DivideRow<T>* rows_;
};

}  // namespace JAXTV_ISA
}  // namespace jaxtv
