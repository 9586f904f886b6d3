// SPDX-License-Identifier: MIT
// Sums in double for scans, in any order: of doubles, which have no wider type, with what each
// addition rounded off, as in core/run.h. So nothing is lost on any length.
#pragma once

#include <cuda_runtime.h>

#include <cmath>

namespace jaxtv::cuda {
namespace {

// `T` is the type of the samples.
template <typename T>
struct WideSum;

template <>
struct WideSum<float> {
  double value;

  __device__ WideSum operator+(const WideSum& other) const { return {value + other.value}; }

  // The double nearest to the sum, or next to it, divided by `count`.
  __device__ double Over(long long count) const { return value / double(count); }

  template <typename F>
  __device__ WideSum Each(const F& f) const {
    return {f(value)};
  }
};

template <>
struct WideSum<double> {
  double value, rest;

  __device__ WideSum operator+(const WideSum& other) const {
    const double sum = value + other.value, added = sum - value;
    const double lost = (value - (sum - added)) + (other.value - added);
    return {sum, rest + other.rest + lost};
  }

  __device__ double Over(long long count) const {
    const double quotient = value / double(count);
    return quotient + (fma(-quotient, double(count), value) + rest) / double(count);
  }

  template <typename F>
  __device__ WideSum Each(const F& f) const {
    return {f(value), f(rest)};
  }
};

template <typename T>
__device__ WideSum<T> Widen(double value) {
  WideSum<T> sum{};
  sum.value = value;
  return sum;
}

// The operator of plain sums.
template <typename T>
struct Total {
  WideSum<T> sum;

  __device__ Total Then(const Total& next) const { return {sum + next.sum}; }

  template <typename F>
  __device__ Total Each(const F& f) const {
    return {sum.Each(f)};
  }
};

// The operator of sums over runs, from the last sample of a run to its first: the sum since sample
// `end`, where a run ends; -1 while none has.
template <typename T>
struct RunSumSince {
  WideSum<T> sum;
  long long end;

  __device__ RunSumSince Then(const RunSumSince& next) const {
    return next.end >= 0 ? next : RunSumSince{sum + next.sum, end};
  }

  template <typename F>
  __device__ RunSumSince Each(const F& f) const {
    return {sum.Each(f), f(end)};
  }
};

}  // namespace
}  // namespace jaxtv::cuda
