// SPDX-License-Identifier: MIT
// Threshold divide and conquer (see core/tv1d_divide.h for the method) by blocks of threads: all
// segments of a line in each round, with every step a scan over tiles of one sample a thread.
//
// A round has two passes. `FindJumps`, right to left: undecided samples follow their neighbour,
// changes of side become jumps, and sums from the right end of each new segment give its level at
// its first sample. `DecideSides`, left to right: the clamped sum against that level. A pass takes
// a stretch of the line and carries, the state after all samples before the stretch in its
// direction. So a line is one stretch of one block, or many stretches of as many blocks.
#pragma once

#include <limits>

#include "core/line.h"
#include "core/tv1d_divide.h"
#include "cuda/common/scan.h"
#include "cuda/common/wide_sum.h"
#include "cuda/lines/run_sums.h"

namespace jaxtv::cuda {
namespace {

// The state of a sample between passes, encoded as a small integer: the sign of the jump after it
// and of the one before it (0: none), and its side of the level (0: that of its right neighbour).
struct Mark {
  int after, before, side;

  __device__ static Mark Decode(int code) { return {code % 3 - 1, code / 3 % 3 - 1, code / 9 - 1}; }
  __device__ int Encode() const { return after + 1 + 3 * (before + 1) + 9 * (side + 1); }
};

// The state before the first round: one segment, no jump, and all samples on the same side.
constexpr int kNoMark = 1 + 3 * 1 + 9 * 2;

template <int kThreads>
__device__ void ClearMarks(signed char* marks, Stretch s) {
  for (int64_t k = s.begin + threadIdx.x; k < s.end; k += kThreads) marks[k] = kNoMark;
}

// The range of the samples of a line, and whether it is valid and has a positive weight.
template <typename T>
struct Summary {
  T low, high;
  int valid, weighted;

  __device__ bool NeedsSolving() const { return valid && weighted && high != low; }

  __device__ T Unit() const { return UnitOf(low, high); }

  // The weights of a line with this summary, in that unit.
  __device__ EdgeWeights<T, ScaledLine<T>> Weights(Line<const T> lam, int64_t n) const {
    const T unit = Unit();
    return {{lam, unit}, lam.stride != 0, n, high * unit - low * unit};
  }

  __device__ Summary Then(const Summary& next) const {
    return {next.low < low ? next.low : low, next.high > high ? next.high : high,
            valid & next.valid, weighted | next.weighted};
  }

  template <typename F>
  __device__ Summary Each(const F& f) const {
    return {f(low), f(high), f(valid), f(weighted)};
  }
};

template <typename T, int kThreads>
__device__ Summary<T> Summarize(Line<const T> x, Line<const T> lam, int64_t n, Stretch s) {
  const T some = x[s.begin];
  Summary<T> mine{some, some, 1, 0};
  for (int64_t k = s.begin + threadIdx.x; k < s.end; k += kThreads) {
    const T value = x[k];
    const T weight = k < n - 1 || (lam.stride == 0 && n > 1) ? lam[k] : T(0);
    mine = mine.Then({value, value, value - value == T(0) && weight >= T(0), weight > T(0)});
  }
  Summary<T> all{some, some, 1, 0};
  ExclusiveScan<kThreads, Direction::kForward>(mine, &all);
  return all;
}

// The prox of a line that needs no solving.
template <typename T, int kThreads>
__device__ void WriteUnsolved(const Summary<T>& summary, Line<const T> x, Line<T> y, Stretch s) {
  const T nan = std::numeric_limits<T>::quiet_NaN();
  for (int64_t k = s.begin + threadIdx.x; k < s.end; k += kThreads) {
    y[k] = summary.valid ? x[k] : nan;
  }
}

struct Least {
  static constexpr int kNone = std::numeric_limits<int>::max();
  int value;

  __device__ Least Then(const Least& next) const { return next.value < value ? next : *this; }

  template <typename F>
  __device__ Least Each(const F& f) const {
    return {f(value)};
  }
};

// A line during its solution, in its unit. `marks` and `level` are work space of n elements each; a
// sample belongs to the same thread in all passes.
template <typename T, int kThreads>
struct DividedLine {
  ScaledLine<T> x;
  EdgeWeights<T, ScaledLine<T>> w;
  T unit;
  int64_t n;
  signed char* marks;
  double* level;  // of a segment, at its first sample

  // Solves the whole line with one block.
  __device__ void Solve(Line<T> y) const {
    ClearMarks<kThreads>(marks, Whole());
    FindJumps();
    Refine();
    Write(y);
  }

  // Rounds until there is no new jump.
  __device__ void Refine() const {
    do {
      DecideSides();
    } while (FindJumps());
  }

  __device__ Stretch Whole() const { return {0, n}; }

  // True for all threads if there was a new jump.
  __device__ bool FindJumps() const {
    __syncthreads();  // before a thread reads its neighbours' marks
    Latest<int> side{0, 0};
    RunSumSince<T> sum{{}, -1};
    OpenRun<T> none;
    return __syncthreads_or(FindJumps(Whole(), Mark::Decode(kNoMark), &side, &sum, &none));
  }
  __device__ void DecideSides() const {
    Latest<double> level_carry{0.0, 0};
    ClampedSum sum = ClampedSum::Identity();
    DecideSides<true>(Whole(), &level_carry, &sum);
  }
  __device__ void Write(Line<T> y) const {
    ClampedSum carry = ClampedSum::Identity();
    Write<true>(Whole(), &carry, y);
  }

  // True if this thread found a new jump. If a segment goes on behind the stretch, the thread of
  // its first sample sets `open`.
  __device__ bool FindJumps(Stretch s, Mark before_stretch, Latest<int>* side_carry,
                            RunSumSince<T>* sum_carry, OpenRun<T>* open) const {
    bool found = false;
    for (int64_t tile = s.Tiles<kThreads>() - 1; tile >= 0; --tile) {
      const int64_t k = s.begin + tile * kThreads + threadIdx.x;
      const bool inside = k < s.end;
      const Mark mark = inside ? Mark::Decode(marks[k]) : Mark{0, 0, 0};
      const Mark left = inside && k > s.begin ? Mark::Decode(marks[k - 1]) : before_stretch;

      const Latest<int> mine{mark.side, mark.side != 0};
      const Latest<int> right = ExclusiveScan<kThreads, Direction::kBackward>(mine, side_carry);
      const int side = right.Then(mine).value;
      const int left_side = left.side != 0 ? left.side : side;
      const bool ends_line = k >= n - 1;
      const int after = mark.after != 0 || ends_line ? mark.after : (right.value - side) / 2;
      const int before = left.after != 0 || k == 0 ? left.after : (side - left_side) / 2;
      found = found || (inside && after != mark.after);

      RunSumSince<T> sum{{}, -1};
      if (inside) sum.sum = Widen<T>(double(x[k]));
      if (inside && (after != 0 || ends_line)) {
        sum.sum = sum.sum + Widen<T>(double(after) * double(w(k)));
        sum.end = k;
      }
      sum = ExclusiveScan<kThreads, Direction::kBackward>(sum, sum_carry).Then(sum);
      if (!inside) continue;
      marks[k] = static_cast<signed char>(Mark{after, before, 0}.Encode());
      if (k == 0 || before != 0) {
        const double pull = before != 0 ? double(before) * double(w(k - 1)) : 0.0;
        const OpenRun<T> segment{sum.sum + Widen<T>(-pull), k};
        if (sum.end >= 0) {
          level[k] = segment.Mean({{}, sum.end});
        } else {
          *open = segment;
        }
      }
    }
    return found;
  }

  // Without `kWrite` only the carries change. Returns the first of this thread's samples with a
  // side, and that side, as an integer that grows with the position; Least::kNone if there is none.
  template <bool kWrite>
  __device__ int DecideSides(Stretch s, Latest<double>* level_carry, ClampedSum* sum_carry) const {
    int decided = Least::kNone;
    for (int64_t tile = 0; tile < s.Tiles<kThreads>(); ++tile) {
      const int64_t k = s.begin + tile * kThreads + threadIdx.x;
      const bool inside = k < s.end;
      Mark mark = inside ? Mark::Decode(marks[k]) : Mark{0, 0, 0};
      const bool first = inside && (k == 0 || mark.before != 0);

      const Latest<double> mine{first ? level[k] : 0.0, first};
      const Latest<double> here =
          ExclusiveScan<kThreads, Direction::kForward>(mine, level_carry).Then(mine);
      const double step = inside ? here.value - double(x[k]) : 0.0;
      const double bound = inside ? double(w(k)) : 0.0;
      const double start = mark.before != 0 ? double(mark.before) * double(w(k - 1)) : 0.0;

      ClampedSum sum = inside ? ClampedSum{step, -bound, bound} : ClampedSum::Identity();
      if (first) sum.lo = sum.hi = sum(start);
      const ClampedSum before = ExclusiveScan<kThreads, Direction::kForward>(sum, sum_carry);
      if (!kWrite || !inside) continue;
      const double m = (first ? start : before(0.0)) + step;
      if (mark.after != 0 || k == n - 1) {
        mark.side = m < double(mark.after) * bound ? 1 : -1;
      } else {
        mark.side = m < -bound ? 1 : m > bound ? -1 : 0;
      }
      marks[k] = static_cast<signed char>(mark.Encode());
      if (mark.side != 0) decided = min(decided, 2 * int(k - s.begin) + (mark.side > 0));
    }
    return decided;
  }

  // Writes the levels; as in RunWriter, a jump that rounding closed or inverted is no jump.
  template <bool kWrite>
  __device__ void Write(Stretch s, ClampedSum* carry, Line<T> y) const {
    for (int64_t tile = 0; tile < s.Tiles<kThreads>(); ++tile) {
      const int64_t k = s.begin + tile * kThreads + threadIdx.x;
      const Mark mark = k < s.end ? Mark::Decode(marks[k]) : Mark{0, 0, 0};
      const bool first = k < s.end && (k == 0 || mark.before != 0);
      ClampedSum value = ClampedSum::Identity();
      if (first && mark.before >= 0) value.lo = double(T(level[k]));
      if (first && mark.before <= 0) value.hi = double(T(level[k]));
      value = ExclusiveScan<kThreads, Direction::kForward>(value, carry).Then(value);
      if (kWrite && k < s.end) y[k] = T(value(0.0)) * (T(1) / unit);
    }
  }
};

}  // namespace
}  // namespace jaxtv::cuda
