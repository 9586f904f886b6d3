// SPDX-License-Identifier: MIT
// The factors of a symmetric matrix whose rows reach only so far, and solutions with them. Compiled
// from profile_kernels.cc for each instruction set, and all give the same bits.
#pragma once

#include <cstdint>

namespace jaxtv {

// Columns are taken so many at a time: of each element that they change together, one load and one
// store do for all of them.
constexpr int kPanel = 4;

// Loops take so many elements at a time, and what lies beyond the last one that counts is 0.
constexpr int kAtOnce = 4;

// The lower triangle, column by column: that of column j begins with element (j, j) at start[j]
// and goes to row end[j / kPanel], which does not fall with j; kAtOnce - 1 zeros follow. Rows are
// less than `size`, a multiple of kPanel.
struct Profile {
  int64_t size;
  const int64_t* start;
  const int64_t* end;
  double* elements;
  double* inverse;  // of the pivots, once factored
};

struct ProfileKernels {
  // Factors L D L^T in place: column j becomes that of L D. False where a pivot is not above 0.
  bool (*factor)(const Profile& profile);
  // Replaces the right side by the solution. kAtOnce - 1 numbers after it are read and kept.
  void (*solve)(const Profile& profile, double* x);
};

namespace portable {
const ProfileKernels& Profiles();
}
namespace avx2 {
const ProfileKernels& Profiles();
}
namespace avx512 {
const ProfileKernels& Profiles();
}

}  // namespace jaxtv
