// SPDX-License-Identifier: MIT
// Loops over the pixels of a row of an image whose differences are coupled. They are compiled from
// row_kernels.cc for each instruction set, and all give the same bits.
//
// An image is `channels` planes of `rows` rows; the last axis runs along a row. Rows lie in planes
// with one more element on either side, so that a neighbour is always there to read: beyond an open
// end it is equal (images) or 0 (duals), beyond a periodic one it is that of the other end.
#pragma once

#include <cstdint>

#include "cpu/simd/rows.h"

namespace jaxtv {

// Rows of one channel along all axes: the values there, and those one step before or after.
template <typename T>
struct AxisRow {
  const T* here;
  const T* other;
};

// A step of the image, one channel of a row.
template <typename T>
struct PrimalRow {
  int64_t n;
  int axes;
  const AxisRow<T>* duals;   // of each axis, with those before
  const AxisRow<T>* slopes;  // the same of what they are multiplied by, or null for 1
  const T* source;
  RowWeights<T> data_weight;
  T step, relaxation;
  T* y;
  T* ahead;  // 2 y' - y
  T* work;   // n elements
};

// A step of the duals, all channels of a row. Arrays of pointers have the axis first.
template <typename T>
struct DualRow {
  int64_t n;
  int axes, channels;
  bool isotropic;
  const AxisRow<T>* ahead;     // of each axis and channel, with the pixel after
  const T* const* slopes;      // of each axis, or null for 1
  const T* const* radii;       // of each axis
  const T* const* lengths;     // of each axis, for the linear problem, else null
  const T* const* directions;  // of each axis and channel, for the linear problem
  T step, relaxation;
  T* const* duals;  // of each axis and channel
  T* work;          // n elements for each axis and channel, and 2 n more for each axis
};

template <typename T>
struct RowKernels {
  void (*primal)(const PrimalRow<T>& row);
  void (*dual)(const DualRow<T>& row);
};

struct RowSet {
  RowKernels<float> f32;
  RowKernels<double> f64;
};

namespace portable {
const RowSet& Rows();
}
namespace avx2 {
const RowSet& Rows();
}
namespace avx512 {
const RowSet& Rows();
}

}  // namespace jaxtv
