// SPDX-License-Identifier: MIT
// The derivative of the prox of a line by a warp, in the arrangement of warp_lines.h: the rule of
// pull_back_scans.h, where a thread has one sample, with 8 to 64 samples of a lane.
//
// A lane knows the runs that start at its samples. Sums over runs are made from right to left: what
// the lanes behind give to a run that is open at the end of a lane comes by a scan, and so does,
// from left to right, the mean of the run that is open at its beginning.
#pragma once

#include <cuda_runtime.h>

#include "cuda/common/scan.h"
#include "cuda/lines/warp_lines.h"

namespace jaxtv::cuda {
namespace {

// The line of a warp. First what tells where its runs are, of which their means take the places at
// their first samples; then v, whose place x_bar takes.
template <typename Shape>
struct PulledCells {
  float runs[Shape::kCells], v[Shape::kCells];
};

// The first of the samples of a line that a lane has.
template <typename Shape>
__device__ int FirstOfLane() {
  return int(threadIdx.x) % Shape::kLanes * Shape::kSamples;
}

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

// `Runs` knows of the samples of a lane where runs start, by bits `starts`, and what a jump to the
// sample k adds to the weight's cotangent: Slope(k, mean before, mean behind).
template <typename Shape, typename Runs>
class WarpPullBack {
 public:
  __device__ WarpPullBack(int n, const Runs& runs, PulledCells<Shape>& cells)
      : runs_(runs), means_(cells.runs), v_(cells.v), left_(n - FirstOfLane<Shape>()) {}

  // Leaves x_bar in the cells of v, and returns lam_bar. `untied`: without a weight, x_bar is v.
  __device__ float Run(bool untied) const {
    __syncwarp();  // before means take the places from which other lanes have made their `Runs`
    SetMeans();
    return Fill(untied);
  }

 private:
  static constexpr int kSamples = Shape::kSamples;

  __device__ static int Lane() { return int(threadIdx.x) % Shape::kLanes; }
  __device__ static int Cell(int k) { return k * Shape::kPitch + Lane(); }

  __device__ void SetMeans() const {
    OpenSum mine{0.0, 0, runs_.starts != 0};
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      if (k >= left_ || (runs_.starts >> (kSamples - 1 - k)) != 0) continue;
      mine.sum += double(v_[Cell(k)]);
      ++mine.count;
    }
    const OpenSum all = InclusiveWarpScan<Direction::kBackward>(mine);
    OpenSum open = ShiftLanes<Direction::kBackward>(all, 1);
    if (Lane() == Shape::kLanes - 1) open = {0.0, 0, 0};
#pragma unroll
    for (int k = kSamples - 1; k >= 0; --k) {
      if (k < left_) {
        open.sum += double(v_[Cell(k)]);
        ++open.count;
      }
      if (!Shape::Has(runs_.starts, k)) continue;
      means_[Cell(k)] = float(open.sum / double(open.count));
      open = {0.0, 0, 0};
    }
  }

  __device__ float Fill(bool untied) const {
    Latest<float> mine{0.0f, 0};
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      if (Shape::Has(runs_.starts, k)) mine = {means_[Cell(k)], 1};
    }
    const Latest<float> up_to_here = InclusiveWarpScan<Direction::kForward>(mine);
    float mean = ShiftLanes<Direction::kForward>(up_to_here, 1).value;
    double slopes = 0.0;
#pragma unroll
    for (int k = 0; k < kSamples; ++k) {
      if (Shape::Has(runs_.starts, k)) {
        const float own = means_[Cell(k)];
        const bool has_edge = k > 0 || Lane() > 0;  // before the sample
        if (has_edge) slopes += double(runs_.Slope(k, mean, own));
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

  const Runs& runs_;
  float *const means_, *const v_;
  const int left_;  // samples of the line from the lane's first one on
};

}  // namespace
}  // namespace jaxtv::cuda
