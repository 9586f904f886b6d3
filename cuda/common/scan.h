// SPDX-License-Identifier: MIT
// Scans over the threads of a block, and operators for them.
//
// An operator is a small struct of 4- and 8-byte numbers. `a.Then(b)` is a followed by b, an
// associative product; `Each(f)` applies f to every number.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <limits>

namespace jaxtv::cuda {
namespace {  // a copy for each kernel file, so that no two kernels share a __shared__ array

constexpr unsigned kAllLanes = 0xffffffffu;

enum class Direction { kForward, kBackward };

// The number `distance` lanes before, or behind for a backward scan; a lane without one keeps its
// own.
template <Direction kDirection, typename Operator>
__device__ Operator ShiftLanes(const Operator& from, unsigned distance) {
  return from.Each([distance](auto number) {
    return kDirection == Direction::kForward ? __shfl_up_sync(kAllLanes, number, distance)
                                             : __shfl_down_sync(kAllLanes, number, distance);
  });
}

// The product over the lanes of a group up to this one, those of lower number first; for a backward
// scan, those of higher number first. A group has `width` lanes, a power of two up to 32.
template <Direction kDirection, typename Operator>
__device__ Operator InclusiveWarpScan(const Operator& mine, int width = 32) {
  const int number = int(threadIdx.x) & (width - 1);
  const int lane = kDirection == Direction::kForward ? number : width - 1 - number;
  Operator total = mine;
  for (int distance = 1; distance < width; distance *= 2) {
    const Operator before = ShiftLanes<kDirection>(total, distance);
    if (lane >= distance) total = before.Then(total);
  }
  return total;
}

// The product of `carry` and of `mine` over all threads before this one, those of lower number; for
// a backward scan, those of higher number. `carry` becomes the product over all threads.
template <int kThreads, Direction kDirection, typename Operator>
__device__ Operator ExclusiveScan(const Operator mine, Operator* carry) {
  static_assert(kThreads % 32 == 0, "whole warps");
  constexpr bool kForward = kDirection == Direction::kForward;
  constexpr int kWarps = kThreads / 32;
  __shared__ Operator warp_totals[kWarps];
  const int lane = kForward ? threadIdx.x % 32 : 31 - threadIdx.x % 32;
  const int warp = kForward ? threadIdx.x / 32 : kWarps - 1 - threadIdx.x / 32;
  const Operator total = InclusiveWarpScan<kDirection>(mine);
  const Operator in_warp = ShiftLanes<kDirection>(total, 1);
  if (lane == 31) warp_totals[warp] = total;
  __syncthreads();

  Operator prefix = *carry;
  for (int w = 0; w < warp; ++w) prefix = prefix.Then(warp_totals[w]);
  *carry = prefix;
  for (int w = warp; w < kWarps; ++w) *carry = carry->Then(warp_totals[w]);
  if (lane > 0) prefix = prefix.Then(in_warp);
  __syncthreads();  // before the next scan writes warp_totals
  return prefix;
}

// The value that was set last.
template <typename V>
struct Latest {
  V value;
  int set;

  __device__ Latest Then(const Latest& next) const { return next.set ? next : *this; }

  template <typename F>
  __device__ Latest Each(const F& f) const {
    return {f(value), f(set)};
  }
};

// The map m -> clip(m + step, lo, hi).
struct ClampedSum {
  double step, lo, hi;

  __device__ static ClampedSum Identity() {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    return {0.0, -kInfinity, kInfinity};
  }

  __device__ double operator()(double m) const {
    m += step;
    return m > hi ? hi : m > lo ? m : lo;  // NaN becomes lo: a constant map stays constant
  }

  __device__ ClampedSum Then(const ClampedSum& next) const {
    return {step + next.step, next(lo), next(hi)};
  }

  template <typename F>
  __device__ ClampedSum Each(const F& f) const {
    return {f(step), f(lo), f(hi)};
  }
};

}  // namespace
}  // namespace jaxtv::cuda
