// SPDX-License-Identifier: MIT
// What loops over many arrays of pixels share. Compiled for each instruction set:
// cpu/simd/vectors.h says why these functions are in its namespace.
#pragma once

#include <math.h>

// Before a loop whose turns do not depend on each other. Whether arrays overlap, compilers would
// ask at run time, for a few arrays at most.
#if defined(__clang__)
#define JAXTV_EACH_ALONE _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define JAXTV_EACH_ALONE _Pragma("GCC ivdep")
#else
#define JAXTV_EACH_ALONE
#endif

namespace jaxtv {
namespace JAXTV_ISA {

// A divisor that is not 0.
template <typename T>
constexpr T kTiny = T(1e-37);

// The second where one of them is NaN.
template <typename T>
inline T Smaller(T a, T b) {
  return a < b ? a : b;
}

template <typename T>
inline T Larger(T a, T b) {
  return a > b ? a : b;
}

inline float Root(float a) { return sqrtf(a); }
inline double Root(double a) { return sqrt(a); }

}  // namespace JAXTV_ISA
}  // namespace jaxtv
