// SPDX-License-Identifier: MIT
// What loops over rows of pixels share that are compiled for each instruction set.
#pragma once

#if defined(_MSC_VER)
#define JAXTV_RESTRICT __restrict
#else
#define JAXTV_RESTRICT __restrict__
#endif

namespace jaxtv {

constexpr int kRowSumLanes = 16;

// A sum in double whose order does not depend on how wide vectors are: term i of a row goes to
// partial sum i % kRowSumLanes.
struct RowSum {
  double lane[kRowSumLanes] = {};

  double Total() const {
    double total = 0;
    for (const double s : lane) total += s;
    return total;
  }
};

// Numbers of a row: one for each pixel, or one for all.
template <typename T>
struct RowWeights {
  const T* each;  // or null:
  T all;
};

}  // namespace jaxtv
