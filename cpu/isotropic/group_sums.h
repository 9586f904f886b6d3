// SPDX-License-Identifier: MIT
// Sums over the groups of a row, in sources compiled for each instruction set.
#pragma once

#include <cstdint>

#include "cpu/isotropic/loops.h"
#include "cpu/simd/rows.h"

namespace jaxtv {
namespace JAXTV_ISA {

// The sums over the axes and channels of each group of products of two rows, a(member) and
// b(member).
template <typename Row, typename A, typename B, typename Sum>
void SumProducts(const Row& row, const A& a, const B& b, Sum* sums) {
  for (int64_t i = 0; i < row.axes * row.n; ++i) sums[i] = Sum(0);
  for (int k = 0; k < row.axes; ++k) {
    Sum* JAXTV_RESTRICT sum = sums + (row.isotropic ? 0 : k) * row.n;
    for (int c = 0; c < row.channels; ++c) {
      const auto* left = a(k * row.channels + c);
      const auto* right = b(k * row.channels + c);
      for (int64_t i = 0; i < row.n; ++i) sum[i] += Sum(left[i]) * Sum(right[i]);
    }
  }
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
