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

#include "core/line.h"

namespace jaxtv {

// The signed weight s_e w_e of the edge at one end of a run, and its sign (w_e may be 0).
template <typename T>
struct Jump {
  int sign;  // +1 up, -1 down, 0 at an end of the line
  T weight;

  JAXTV_HD double pull() const { return double(sign) * double(weight); }
};

// The value of a run from a guess of it.
template <typename T>
JAXTV_HD double RunValueNear(double guess, Line<const T> x, int64_t first, int64_t last,
                             Jump<T> left, Jump<T> right) {
  double sum = right.pull() - left.pull();
  for (int64_t k = first; k <= last; ++k) sum += double(x[k]) - guess;
  return guess + sum / double(last - first + 1);
}

// Float samples are exact to 29 bits more in a double sum. Double samples have no wider type, but
// deviations from the value itself have partial sums bounded by the weights instead of by n |x|, so
// a second sum loses nothing on any length.
template <typename T>
JAXTV_HD double RunValue(Line<const T> x, int64_t first, int64_t last, Jump<T> left,
                         Jump<T> right) {
  const double value = RunValueNear(double(x[first]), x, first, last, left, right);
  if (sizeof(T) < sizeof(double)) return value;
  return RunValueNear(value, x, first, last, left, right);
}

// Writes the runs of a line from left to right.
template <typename T>
class RunWriter {
 public:
  JAXTV_HD RunWriter(Line<const T> x, Line<T> y) : x_(x), y_(y) {}

  // Writes [first, last]; `right` is the jump after it. `first` follows the previous run.
  JAXTV_HD void Write(int64_t first, int64_t last, Jump<T> right) {
    T value = T(RunValue(x_, first, last, left_, right));
    // A jump that rounding closed or inverted is no jump: the two runs tie.
    if (left_.sign < 0 && value > previous_) value = previous_;
    if (left_.sign > 0 && value < previous_) value = previous_;
    for (int64_t k = first; k <= last; ++k) y_[k] = value;
    left_ = right;
    previous_ = value;
  }

  JAXTV_HD Jump<T> left() const { return left_; }

 private:
  Line<const T> x_;
  Line<T> y_;
  Jump<T> left_ = {0, T(0)};
  T previous_ = T(0);
};

// The run mean P: each run of equal `y` gets the mean of `v` over it. P is symmetric, so it is its
// own transpose; it is the Jacobian of the prox in x at y. Where y is NaN there is no run: NaN.
template <typename T>
JAXTV_HD void RunMeanLine(Line<const T> y, Line<const T> v, int64_t n, Line<T> mean) {
  int64_t first = 0;
  while (first < n) {
    const T level = y[first];
    double sum = level == level ? double(v[first]) : double(level);
    int64_t end = first + 1;
    for (; end < n && y[end] == level; ++end) sum += double(v[end]);
    const T value = T(sum / double(end - first));
    for (; first < end; ++first) mean[first] = value;
  }
}

}  // namespace jaxtv
