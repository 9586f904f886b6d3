// SPDX-License-Identifier: MIT
// The steps of the search over an image (solve.h), but for sweeps and certificates: what one thread
// decides for image i.
#pragma once

#include <limits>

#include "cuda/common/scan.h"
#include "cuda/images/alternating.h"

namespace jaxtv::cuda {
namespace {  // as in scan.h

constexpr int kVainTests = 3;  // tests without progress, in a row, that end the sweeps

// What a test has found for each image, and the bound before the test.
template <typename T>
struct Findings {
  T *gap, *bound, *before;
  int* better;
};

template <typename T>
__device__ void StartImage(const ImageNumbers<T>& n, int64_t i) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  n.gap[i] = n.bound[i] = n.energy[i] = n.moved[i] = kInfinity;
  n.momentum[i] = T(1);
  n.beta[i] = T(0);
  n.count[i] = n.vain[i] = 0;
  n.near[i] = n.target[i] / T(2);
  n.due[i] = min(n.first_test[i], n.max_sweeps[i]);
  n.active[i] = n.max_sweeps[i] > 0;
}

__device__ inline float Root(float x) { return sqrtf(x); }
__device__ inline double Root(double x) { return sqrt(x); }

template <typename T>
__device__ T NextMomentum(T momentum) {
  return (T(1) + Root(T(1) + T(4) * momentum * momentum)) / T(2);
}

// `before` and the sums of all threads of a block, for its first thread.
template <int kThreads>
__device__ SweepSums SumOverBlock(const SweepSums& before, const SweepSums& mine) {
  __shared__ SweepSums of_warps[kThreads / 32];
  const SweepSums of_lanes = InclusiveWarpScan<Direction::kForward>(mine);
  if (threadIdx.x % 32 == 31) of_warps[threadIdx.x / 32] = of_lanes;
  __syncthreads();
  SweepSums total = before;
  for (const SweepSums& of_warp : of_warps) total = total.Then(of_warp);
  return total;
}

// From the sums over an image after a sweep: momentum, by Nesterov's weights or started again, and
// whether there is another sweep before the next test.
template <typename T>
__device__ void EndSweep(const ImageNumbers<T>& n, const SweepSums& total, bool three_axes,
                         int64_t i) {
  const bool restart = total.against > 0.0 || (three_axes && T(total.energy) > n.energy[i]);
  if (three_axes) n.energy[i] = T(total.energy);
  const T momentum = restart ? T(1) : NextMomentum(n.momentum[i]);
  n.momentum[i] = momentum;
  n.beta[i] = (momentum - T(1)) / NextMomentum(momentum);
  n.moved[i] = T(sqrt(total.apart));
  n.count[i] += 1;
  n.sweeping[i] = n.Unfinished(i);
}

template <typename T>
__device__ bool WantsUnion(const ImageNumbers<T>& n, int64_t i) {
  const bool ready = n.count[i] >= n.first_union[i] || n.moved[i] <= n.rounding[i];
  return n.active[i] && n.bound[i] > n.target[i] && ready;
}

// Takes what was found if it is wanted and better.
template <typename T>
__device__ void Judge(const ImageNumbers<T>& n, const Findings<T>& found, bool wanted, int64_t i) {
  found.better[i] = wanted && found.bound[i] < n.bound[i];
  if (!found.better[i]) return;
  n.gap[i] = found.gap[i];
  n.bound[i] = found.bound[i];
}

// How many sweeps to make before the next test at the latest, as by _next_test in
// jaxtv/_plain/alternating.py.
template <typename T>
__device__ int Ahead(const ImageNumbers<T>& n, bool still, int64_t i) {
  const int count = n.count[i];
  if (still) return n.vain[i] > 0 ? max(count / 2, 3) : 3;
  const double growth = sqrt(double(n.bound[i]) / double(n.target[i]));
  const double ahead = ceil(double(count) * (growth - 1.0)) + 1.0;
  const int most = max(count, 3);
  return ahead < double(most) ? int(ahead) : most;
}

// After a test: whether the image goes on, and when its next test is due, as by _next_test.
template <typename T>
__device__ void Conclude(const ImageNumbers<T>& n, T before, int64_t i) {
  if (!n.active[i]) return;
  const bool still = n.moved[i] <= n.rounding[i];
  n.vain[i] = still && n.bound[i] > T(0.9) * before ? n.vain[i] + 1 : 0;
  n.active[i] = n.bound[i] > n.target[i] && n.count[i] < n.max_sweeps[i] && n.vain[i] < kVainTests;
  const double missing = 0.95 * double(n.bound[i]) / double(n.target[i]);
  const bool moves = n.active[i] && !still;
  n.near[i] = moves ? T(double(n.moved[i]) * pow(missing, -1.0 / 0.85)) : T(0);
  n.moved[i] = std::numeric_limits<T>::infinity();
  n.due[i] = n.count[i] + min(Ahead(n, still, i), n.max_sweeps[i] - n.count[i]);
}

}  // namespace
}  // namespace jaxtv::cuda
