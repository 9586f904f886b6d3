// SPDX-License-Identifier: MIT
// One block for each line: threshold divide and conquer (see core/tv1d_divide.h for the method),
// all segments of the line in each round, with every step a scan over tiles of one sample a thread.
//
// A round has two passes. `FindJumps`, right to left: undecided samples follow their neighbour,
// changes of side become jumps, and sums from the right end of each new segment give its level at
// its first sample. `DecideSides`, left to right: the clamped sum against that level.
#include "core/tv1d_divide.h"
#include "cuda/launch.h"
#include "cuda/regime.h"
#include "cuda/scan.h"
#include "cuda/tv1d.h"

namespace jaxtv::cuda {
namespace {

// What a sample knows between passes, as a small integer: the sign of the jump after it and of the
// one before it (0: none), and its side of the level (0: that of its right neighbour).
struct Mark {
  int after, before, side;

  __device__ static Mark Decode(int code) { return {code % 3 - 1, code / 3 % 3 - 1, code / 9 - 1}; }
  __device__ int Encode() const { return after + 1 + 3 * (before + 1) + 9 * (side + 1); }
};

template <typename T>
struct Summary {
  T low, high;
  int valid, weighted;

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
__device__ Summary<T> Summarize(Line<const T> x, Line<const T> lam, int64_t n) {
  Summary<T> mine{x[0], x[0], 1, 0};
  for (int64_t k = threadIdx.x; k < n; k += kThreads) {
    const T value = x[k];
    const T weight = k < n - 1 || (lam.stride == 0 && n > 1) ? lam[k] : T(0);
    mine = mine.Then({value, value, value - value == T(0) && weight >= T(0), weight > T(0)});
  }
  Summary<T> all{x[0], x[0], 1, 0};
  ExclusiveScan<kThreads, Direction::kForward>(mine, &all);
  return all;
}

// A line that is being solved. `marks` and `level` are work space of n elements each; a sample
// belongs to the same thread in all passes.
template <typename T, typename Code, int kThreads>
struct Division {
  Line<const T> x;
  EdgeWeights<T> w;
  int64_t n;
  Line<Code> marks;
  double* level;  // of a segment, at its first sample

  __device__ void Solve(Line<T> y) const {
    const int none = Mark{0, 0, 1}.Encode();
    for (int64_t k = threadIdx.x; k < n; k += kThreads) marks[k] = Code(none);
    FindJumps();
    do {
      DecideSides();
    } while (FindJumps());
    Write(y);
  }

  __device__ int64_t Tiles() const { return (n + kThreads - 1) / kThreads; }

  // True for all threads if there was a new jump.
  __device__ bool FindJumps() const {
    __syncthreads();  // before a thread reads its neighbours' marks, or x[0]
    bool found = false;
    Latest<int> side_carry{0, 0};
    SumSince sum_carry{0.0, -1};
    const double origin = double(x[0]);
    for (int64_t tile = Tiles() - 1; tile >= 0; --tile) {
      const int64_t k = tile * kThreads + threadIdx.x;
      const bool inside = k < n;
      const Mark mark = inside ? Mark::Decode(int(marks[k])) : Mark{0, 0, 0};
      const Mark left = inside && k > 0 ? Mark::Decode(int(marks[k - 1])) : Mark{0, 0, 1};

      const Latest<int> mine{mark.side, mark.side != 0};
      const Latest<int> right = ExclusiveScan<kThreads, Direction::kBackward>(mine, &side_carry);
      const int side = right.Then(mine).value;
      const int left_side = left.side != 0 ? left.side : side;
      const bool ends_line = k >= n - 1;
      const int after = mark.after != 0 || ends_line ? mark.after : (right.value - side) / 2;
      const int before = left.after != 0 || k == 0 ? left.after : (side - left_side) / 2;
      found = found || (inside && after != mark.after);

      SumSince sum{0.0, -1};
      if (inside) sum.sum = double(x[k]) - origin;
      if (inside && (after != 0 || ends_line)) {
        sum.sum += double(after) * double(w(k));
        sum.origin = k;
      }
      sum = ExclusiveScan<kThreads, Direction::kBackward>(sum, &sum_carry).Then(sum);
      if (!inside) continue;
      marks[k] = Code(Mark{after, before, 0}.Encode());
      if (k == 0 || before != 0) {
        const double pull = before != 0 ? double(before) * double(w(k - 1)) : 0.0;
        level[k] = origin + (sum.sum - pull) / double(sum.origin - k + 1);
      }
    }
    return __syncthreads_or(found);
  }

  __device__ void DecideSides() const {
    Latest<double> level_carry{0.0, 0};
    ClampedSum sum_carry = Identity();
    for (int64_t tile = 0; tile < Tiles(); ++tile) {
      const int64_t k = tile * kThreads + threadIdx.x;
      const bool inside = k < n;
      Mark mark = inside ? Mark::Decode(int(marks[k])) : Mark{0, 0, 0};
      const bool first = inside && (k == 0 || mark.before != 0);

      const Latest<double> mine{first ? level[k] : 0.0, first};
      const Latest<double> here =
          ExclusiveScan<kThreads, Direction::kForward>(mine, &level_carry).Then(mine);
      const double step = inside ? here.value - double(x[k]) : 0.0;
      const double bound = inside ? double(w(k)) : 0.0;
      const double start = mark.before != 0 ? double(mark.before) * double(w(k - 1)) : 0.0;

      ClampedSum sum = inside ? ClampedSum{step, -bound, bound} : Identity();
      if (first) sum.lo = sum.hi = sum(start);
      const ClampedSum before = ExclusiveScan<kThreads, Direction::kForward>(sum, &sum_carry);
      if (!inside) continue;
      const double m = (first ? start : before(0.0)) + step;
      if (mark.after != 0 || k == n - 1) {
        mark.side = m < double(mark.after) * bound ? 1 : -1;
      } else {
        mark.side = m < -bound ? 1 : m > bound ? -1 : 0;
      }
      marks[k] = Code(mark.Encode());
    }
  }

  // Writes the levels; as in RunWriter, a jump that rounding closed or inverted is no jump.
  __device__ void Write(Line<T> y) const {
    ClampedSum carry = Identity();
    for (int64_t tile = 0; tile < Tiles(); ++tile) {
      const int64_t k = tile * kThreads + threadIdx.x;
      const Mark mark = k < n ? Mark::Decode(int(marks[k])) : Mark{0, 0, 0};
      ClampedSum value = Identity();
      if (k < n && mark.before >= 0 && (k == 0 || mark.before != 0)) value.lo = double(T(level[k]));
      if (k < n && mark.before <= 0 && (k == 0 || mark.before != 0)) value.hi = double(T(level[k]));
      value = ExclusiveScan<kThreads, Direction::kForward>(value, &carry).Then(value);
      if (k < n) y[k] = T(value(0.0));
    }
  }

  __device__ static ClampedSum Identity() {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return {0.0, -kInfinity, kInfinity};
  }
};

// On chip, the work space is in dynamic shared memory: n levels, n samples of x, n marks. Else the
// levels of all lines are in `scratch`, and a line's marks where its result will be.
template <typename T, int kThreads, bool kOnChip>
__global__ void __launch_bounds__(kThreads, kLargeBlock / kThreads)
    ProxBlock(const Lines lines, const __grid_constant__ WeightLayout weights,
              const T* __restrict__ x, const T* __restrict__ lam, T* __restrict__ y,
              double* __restrict__ scratch) {
  const int64_t n = lines.length, line = blockIdx.x;
  const Line<const T> in = lines.At(x, line);
  const Line<const T> lambda = weights.At(lam, line);
  const Line<T> out = lines.At(y, line);

  const Summary<T> summary = Summarize<T, kThreads>(in, lambda, n);
  const T range = summary.high - summary.low;
  if (!summary.valid || !summary.weighted || range == T(0)) {
    const T nan = std::numeric_limits<T>::quiet_NaN();
    for (int64_t k = threadIdx.x; k < n; k += kThreads) out[k] = summary.valid ? in[k] : nan;
    return;
  }
  const EdgeWeights<T> w{lambda, T(n) * range, n - 1};  // capped as in core/tv1d.h
  if constexpr (kOnChip) {
    JAXTV_DYNAMIC_SHARED(double, level);
    T* const samples = reinterpret_cast<T*>(level + n);
    signed char* const marks = reinterpret_cast<signed char*>(samples + n);
    for (int64_t k = threadIdx.x; k < n; k += kThreads) samples[k] = in[k];
    Division<T, signed char, kThreads>{{samples, 1}, w, n, {marks, 1}, level}.Solve(out);
  } else {
    Division<T, T, kThreads>{in, w, n, out, scratch + line * n}.Solve(out);
  }
}

}  // namespace

template <typename T>
Status ProxTv1dByBlocks(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                        const T* x, const T* lam, T* y, void* scratch) {
  const int64_t n = lines.length;
  const auto launch = [&](auto* kernel, int threads, size_t shared) {
    return Launch("ProxBlock", kernel, Grid{lines.count(), threads, shared, stream}, lines, weights,
                  x, lam, y, static_cast<double*>(scratch));
  };
  if (ProxScratchBytes(n) > 0) return launch(ProxBlock<T, kLargeBlock, false>, kLargeBlock, 0);
  const size_t shared = size_t(n) * (sizeof(double) + sizeof(T) + sizeof(signed char));
  if (n > kSmallBlockLength) return launch(ProxBlock<T, kLargeBlock, true>, kLargeBlock, shared);
  return launch(ProxBlock<T, kSmallBlock, true>, kSmallBlock, shared);
}

template Status ProxTv1dByBlocks(cudaStream_t, const Lines&, const WeightLayout&, const float*,
                                 const float*, float*, void*);
template Status ProxTv1dByBlocks(cudaStream_t, const Lines&, const WeightLayout&, const double*,
                                 const double*, double*, void*);

}  // namespace jaxtv::cuda
