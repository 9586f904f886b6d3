// SPDX-License-Identifier: MIT
// The sums over a row that tell how far an image is from the prox, or from the solution of the
// linear problem. Compiled from test_kernels.cc for each instruction set, and all give the same
// bits.
#pragma once

#include <cstdint>

#include "cpu/isotropic/row_kernels.h"

namespace jaxtv {

// The terms of the certificate, or of the residual of the linear problem, of all channels of a row.
template <typename T>
struct TestRow {
  int64_t n;
  int axes, channels;
  bool isotropic;
  const AxisRow<T>* duals;       // of each axis and channel, with those before
  const AxisRow<T>* slopes;      // of each axis, with those before, or null for 1
  const AxisRow<T>* y;           // of each axis and channel, with the pixel after
  const T* const* radii;         // of each axis
  const T* const* x;             // of each channel: the data, or the right side
  const T* const* data_weights;  // of each channel
  const T* low;                  // of each channel
  const T* high;
  const T* const* lengths;
  const T* const* directions;
  double scale;  // of the duals, for the certificate
  double* work;  // n elements for each axis and channel, 2 n more for each axis, and 3 n
};

struct TestSums {
  RowSum square, rest;
};

template <typename T>
struct TestKernels {
  double (*excess)(const TestRow<T>& row);  // the largest |p|^2 / r^2 of a group
  void (*gap)(const TestRow<T>& row, TestSums* sums);
  void (*residual)(const TestRow<T>& row, TestSums* sums);
};

struct TestSet {
  TestKernels<float> f32;
  TestKernels<double> f64;
};

namespace portable {
const TestSet& Tests();
}
namespace avx2 {
const TestSet& Tests();
}
namespace avx512 {
const TestSet& Tests();
}

}  // namespace jaxtv
