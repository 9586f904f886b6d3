// SPDX-License-Identifier: MIT
// An iteration on rows of an image of two axes and one channel, with isotropic groups of one
// weight: the duals of a row follow its image at once, while both are at hand. Compiled from
// fused_kernels.cc for each instruction set, and all give the same bits.
#pragma once

#include <cstdint>

#include "core/isotropic.h"
#include "cpu/simd/rows.h"

namespace jaxtv {

// Numbers of pixels, `stride` from one row to the next.
template <typename T>
struct Pixels {
  T* first;
  int64_t stride;
};

// Rows that follow each other, the neighbours in them as row_kernels.h has it.
template <typename T>
struct FusedRows {
  int64_t rows, length;
  bool periodic;
  T radius;
  StepLengths<T> steps;
  const T* above;  // the duals of the first axis in the row before the first
  const T* below;  // 2 y' - y in the row after the last
  Pixels<const T> source;
  Pixels<const T> data_weights;  // or null: `data_weight` for all
  T data_weight;
  Pixels<T> y, ahead, p, q;
  Pixels<const T> lengths, u, v;  // of the linear problem: its lengths and directions, or null
};

template <typename T>
struct FusedKernels {
  // The image in all rows, and the duals in all but the last.
  void (*step)(const FusedRows<T>& rows);
  // The duals in the last.
  void (*finish)(const FusedRows<T>& rows);
};

struct FusedSet {
  FusedKernels<float> f32;
  FusedKernels<double> f64;
};

namespace portable {
const FusedSet& Fused();
}
namespace avx2 {
const FusedSet& Fused();
}
namespace avx512 {
const FusedSet& Fused();
}

}  // namespace jaxtv
