// SPDX-License-Identifier: MIT
// Runs: the maximal stretches of a line on which a TV prox is constant.
//
// With run R = [first, last] between a left edge l and a right edge r, sign s of the jump across an
// edge (+1 up, -1 down), the optimality conditions of the prox give its value in closed form:
//
//   y_R = mean(x over R) + (s_r w_r - s_l w_l) / |R|,            w = 0 beyond the ends of the line.
//
// Whatever method found the runs, the values are computed here, so they are good to a few ulp on
// any length and all methods agree.
#pragma once

#include <limits>
#include <type_traits>

#include "core/line.h"

namespace jaxtv {

// The signed weight s_e w_e of the edge at one end of a run, and its sign (w_e may be 0).
template <typename T>
struct Jump {
  int sign;  // +1 up, -1 down, 0 at an end of the line
  T weight;

  JAXTV_HD JAXTV_ALWAYS_INLINE T pull() const { return sign == 0 ? T(0) : T(sign) * weight; }
};

// A sum over samples of type T in double, one term after the other, so that every kernel rounds
// alike. Double samples have no wider type: for them the sum carries what each addition rounded off
// (D. Knuth, TAOCP 2, 4.2.2, theorem B), so that nothing is lost on any length.
template <typename T>
struct LongSum {
  double sum = 0.0, carry = 0.0;

  JAXTV_HD void Add(double term) {
    const double before = sum;
    sum = before + term;
    if (sizeof(T) < sizeof(double)) return;
    const double added = sum - before;
    carry += (before - (sum - added)) + (term - added);
  }

  JAXTV_HD double Total() const { return sum + carry; }

  // The difference of two totals that may be much larger than it.
  JAXTV_HD double operator-(const LongSum& other) const {
    return (sum - other.sum) + (carry - other.carry);
  }
};

// Sums over a run are sums of deviations from its first sample: they are bounded by the weights and
// the range of the line, not by its offset, and the mean of a constant is that constant. `v` is a
// line, or what gives its samples.
template <typename Samples>
JAXTV_HD double RunSum(const Samples& v, int64_t first, int64_t last) {
  LongSum<std::decay_t<decltype(v[first])>> sum;
  for (int64_t k = first; k <= last; ++k) sum.Add(v[k] - v[first]);
  return sum.Total();
}

// `sum` is that of RunSum.
template <typename Samples, typename T>
JAXTV_HD T RunValue(const Samples& x, int64_t first, int64_t last, Jump<T> left, Jump<T> right,
                    double sum) {
  return x[first] + (T(sum) + (right.pull() - left.pull())) / T(last - first + 1);
}

template <typename Samples, typename T>
JAXTV_HD T RunValue(const Samples& x, int64_t first, int64_t last, Jump<T> left, Jump<T> right) {
  return RunValue(x, first, last, left, right, RunSum(x, first, last));
}

// Writes the runs of a line from left to right.
template <typename T, typename Samples = Line<const T>>
class RunWriter {
 public:
  JAXTV_HD RunWriter(Samples x, Line<T> y) : x_(x), y_(y) {}

  // For a line whose runs before the jump `left` are written, the last one with value `previous`.
  JAXTV_HD RunWriter(Samples x, Line<T> y, Jump<T> left, T previous)
      : x_(x), y_(y), left_(left), previous_(previous) {}

  // Writes [first, last]; `right` is the jump after it. `first` follows the previous run.
  JAXTV_HD void Write(int64_t first, int64_t last, Jump<T> right) {
    Write(first, last, right, RunSum(x_, first, last));
  }

  // `sum` is that of RunSum.
  JAXTV_HD void Write(int64_t first, int64_t last, Jump<T> right, double sum) {
    T value = RunValue(x_, first, last, left_, right, sum);
    // A jump that rounding closed or inverted is no jump: the two runs tie.
    if (left_.sign < 0 && value > previous_) value = previous_;
    if (left_.sign > 0 && value < previous_) value = previous_;
    for (int64_t k = first; k <= last; ++k) y_[k] = value;
    left_ = right;
    previous_ = value;
  }

  JAXTV_HD Jump<T> left() const { return left_; }

 private:
  Samples x_;
  Line<T> y_;
  Jump<T> left_ = {0, T(0)};
  T previous_ = T(0);
};

template <typename Samples>
JAXTV_HD auto RunMean(const Samples& v, int64_t first, int64_t last) {
  using T = std::decay_t<decltype(v[first])>;
  return T(v[first] + T(RunSum(v, first, last)) / T(last - first + 1));
}

// The derivative at a sample that has no prox, from its cotangent: NaN, but 0 where the cotangent
// is 0, so that a mask over bad lines protects the sums over all lines.
template <typename T>
JAXTV_HD T NoDerivative(T cotangent) {
  return cotangent == T(0) ? T(0) : std::numeric_limits<T>::quiet_NaN();
}

// The run mean P: each run of equal `y` gets the mean of `v` over it. P is symmetric, so it is its
// own transpose; it is the Jacobian of the prox in x at y. Where y is NaN there is no run.
template <typename T>
JAXTV_HD void RunMeanLine(Line<const T> y, Line<const T> v, int64_t n, Line<T> mean) {
  int64_t first = 0;
  while (first < n) {
    const T level = y[first];
    int64_t end = first + 1;
    while (end < n && y[end] == level) ++end;
    const T value = level == level ? RunMean(v, first, end - 1) : NoDerivative(v[first]);
    for (; first < end; ++first) mean[first] = value;
  }
}

}  // namespace jaxtv
