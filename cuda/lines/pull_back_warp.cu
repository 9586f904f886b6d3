// SPDX-License-Identifier: MIT
// One warp for each line of float with one weight, in the arrangement of warp_lines.h: the rule of
// pull_back_scans.h, where a thread has one sample, with 8 to 64 samples of a lane.
//
// A lane finds the runs that start at its samples. Sums over runs are made from right to left: what
// the lanes behind give to a run that is open at the end of a lane comes by a scan, and so does,
// from left to right, the mean of the run that is open at its beginning.
#include "core/pull_back.h"
#include "cuda/common/scan.h"
#include "cuda/common/stored.h"
#include "cuda/lines/pull_back.h"
#include "cuda/lines/warp_lines.h"

namespace jaxtv::cuda {
namespace {

// The line of a warp. The mean of a run takes the place of y at its first sample, x_bar that of v.
template <typename Shape>
struct PulledCells {
  float y[Shape::kCells], v[Shape::kCells];
};

// The sum over the samples of a lane before the first run that starts there, or over all. From
// right to left, the product is what a run gets that is open before them.
struct OpenSum {
  double sum;
  int count, closed;  // closed: whether a run starts there

  __device__ OpenSum Then(const OpenSum& left) const {
    return left.closed ? left : OpenSum{sum + left.sum, count + left.count, closed};
  }

  template <typename F>
  __device__ OpenSum Each(const F& f) const {
    return {f(sum), f(count), f(closed)};
  }
};

template <typename Shape>
class WarpPullBack {
 public:
  __device__ WarpPullBack(int n, PulledCells<Shape>& cells)
      : y_(cells.y), v_(cells.v), lane_(int(threadIdx.x) % Shape::kLanes) {
    left_ = n - lane_ * Shape::kSamples;
  }

  // Leaves x_bar in the cells of v, and returns lam_bar. `untied`: without a weight, x_bar is v.
  __device__ float Run(bool untied) {
    FindRuns();
    __syncwarp();  // before means take the place of samples that other lanes have compared
    SetMeans();
    return Fill(untied);
  }

 private:
  using Bits = typename Shape::Bits;
  static constexpr int kSamples = Shape::kSamples;

  __device__ int Cell(int k) const { return k * Shape::kPitch + lane_; }

  // Where y is NaN there is no derivative.
  __device__ void FindRuns() {
    float before = lane_ > 0 && left_ > 0 ? y_[Cell(kSamples - 1) - 1] : 0.0f;
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      const bool inside = k < left_, is_first = k == 0 && lane_ == 0;
      const float here = inside ? y_[Cell(k)] : before;
      starts_ = starts_ << 1 | Bits(inside && (is_first || !(here == before)));
      falls_ = falls_ << 1 | Bits(here < before);
      if (inside && here != here) v_[Cell(k)] = NoDerivative(v_[Cell(k)]);
      before = here;
    }
  }

  __device__ void SetMeans() {
    OpenSum mine{0.0, 0, starts_ != 0};
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      if (k >= left_ || (starts_ >> (kSamples - 1 - k)) != 0) continue;
      mine.sum += double(v_[Cell(k)]);
      ++mine.count;
    }
    const OpenSum all = InclusiveWarpScan<Direction::kBackward>(mine);
    OpenSum open = ShiftLanes<Direction::kBackward>(all, 1);
    if (lane_ == Shape::kLanes - 1) open = {0.0, 0, 0};
#pragma unroll
    for (int k = kSamples - 1; k >= 0; --k) {
      if (k < left_) {
        open.sum += double(v_[Cell(k)]);
        ++open.count;
      }
      if (!Shape::Has(starts_, k)) continue;
      y_[Cell(k)] = float(open.sum / double(open.count));
      open = {0.0, 0, 0};
    }
  }

  __device__ float Fill(bool untied) const {
    Latest<float> mine{0.0f, 0};
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      if (Shape::Has(starts_, k)) mine = {y_[Cell(k)], 1};
    }
    const Latest<float> up_to_here = InclusiveWarpScan<Direction::kForward>(mine);
    float mean = ShiftLanes<Direction::kForward>(up_to_here, 1).value;
    double slopes = 0.0;
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      if (Shape::Has(starts_, k)) {
        const float own = y_[Cell(k)];
        const bool has_edge = k > 0 || lane_ > 0;  // before the sample
        if (has_edge) slopes += double(Shape::Has(falls_, k) ? own - mean : mean - own);
        mean = own;
      }
      if (k < left_ && !untied) v_[Cell(k)] = mean;
    }
#pragma unroll
    for (int distance = 1; distance < Shape::kLanes; distance *= 2) {
      slopes += __shfl_xor_sync(kAllLanes, slopes, distance);
    }
    return float(slopes);
  }

  float *const y_, *const v_;
  const int lane_;
  int left_;  // samples of the line from the lane's first one on
  Bits starts_ = 0, falls_ = 0;
};

template <typename Shape, typename S>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    PullBackWarps(const __grid_constant__ PullBackOperands<float, S> p) {
  JAXTV_DYNAMIC_SHARED(PulledCells<Shape>, cells);
  const WarpLines<Shape> own(p.lines);
  own.Load(p.y, cells[own.slot].y);
  own.Load(p.v, cells[own.slot].v);
  if (own.HasLine()) {
    const bool untied = p.Lam(own.line)[0] == 0.0f;
    WarpPullBack<Shape> line(int(p.lines.length), cells[threadIdx.x / Shape::kLanes]);
    const float lam_bar = line.Run(untied);
    if (threadIdx.x % Shape::kLanes == 0) p.LamBar(own.line)[0] = lam_bar;
  }
  own.Store(p.x_bar, cells[own.slot].v);
}

}  // namespace

template <typename S>
Status PullBackByWarps(cudaStream_t stream, const PullBackOperands<float, S>& p) {
  return LaunchByWarps<S>(p.lines.length, [&](auto shape) {
    using Shape = decltype(shape);
    constexpr size_t kBytes = Shape::kWarps * sizeof(PulledCells<Shape>);
    const Grid grid{CeilDiv(p.lines.count(), Shape::kWarps), Shape::kThreads, kBytes, stream};
    return Launch("PullBackWarps", PullBackWarps<Shape, S>, grid, p);
  });
}

template Status PullBackByWarps(cudaStream_t, const PullBackOperands<float>&);
template Status PullBackByWarps(cudaStream_t, const PullBackOperands<float, __half>&);
template Status PullBackByWarps(cudaStream_t, const PullBackOperands<float, __nv_bfloat16>&);

}  // namespace jaxtv::cuda
