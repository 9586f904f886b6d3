// SPDX-License-Identifier: MIT
// Sums in double for scans, in any order. Doubles have no wider type: their sums keep the rounding
// error of each addition, as in core/run.h, so that no digit is lost on a line of any length.
#pragma once

#include <cuda_runtime.h>

#include <cmath>

namespace jaxtv::cuda {
namespace {

// `T` is the type of the samples. Over(count) is the sum divided by `count`, to a rounding or two.
template <typename T>
struct WideSum;

template <>
struct WideSum<float> {
  double value;

  __device__ WideSum operator+(const WideSum& other) const { return {value + other.value}; }

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

}  // namespace
}  // namespace jaxtv::cuda
