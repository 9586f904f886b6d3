// SPDX-License-Identifier: MIT
// Sums of a RowSum, in sources compiled for each instruction set: cpu/simd/vectors.h says why these
// functions are in its namespace.
#pragma once

#include <cstdint>

#include "cpu/simd/rows.h"

namespace jaxtv {
namespace JAXTV_ISA {

// Calls f(i, i % kRowSumLanes) for i in [0, n).
template <typename F>
inline void ForLanes(int64_t n, const F& f) {
  int64_t i = 0;
  for (; i + kRowSumLanes <= n; i += kRowSumLanes) {
    for (int lane = 0; lane < kRowSumLanes; ++lane) f(i + lane, lane);
  }
  for (int lane = 0; i < n; ++i, ++lane) f(i, lane);
}

// Terms are made in a loop of their own, which GCC turns into vectors.
inline void Add(int64_t n, const double* JAXTV_RESTRICT terms, RowSum* sum) {
  RowSum s = *sum;
  ForLanes(n, [&](int64_t i, int lane) { s.lane[lane] += terms[i]; });
  *sum = s;
}

inline double Total(const RowSum& sum) {
  double total = 0;
  for (int lane = 0; lane < kRowSumLanes; ++lane) total += sum.lane[lane];
  return total;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
