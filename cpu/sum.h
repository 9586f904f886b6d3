// SPDX-License-Identifier: MIT
// Sums in float64 whose order is fixed, and that compilers turn into vector code.
#pragma once

#include <cstdint>

namespace jaxtv {

constexpr int kSumLanes = 16;

class LaneSum {
 public:
  template <typename T>
  void Add(int lane, T a, T b) {
    sum_[lane] += double(a) * double(b);
  }

  void Add(int lane, double a) { sum_[lane] += a; }

  double Total() const {
    double total = 0;
    for (const double s : sum_) total += s;
    return total;
  }

 private:
  double sum_[kSumLanes] = {};
};

// Calls f(i, i % kSumLanes) for i in [0, n).
template <typename F>
inline void ForLanes(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes) {
    for (int lane = 0; lane < kSumLanes; ++lane) f(i + lane, lane);
  }
  for (int lane = 0; i < n; ++i, ++lane) f(i, lane);
}

}  // namespace jaxtv
