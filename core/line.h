// SPDX-License-Identifier: MIT
// An array seen as lines along one axis: [outer, length, inner], with weights that broadcast.
//
// Element k of line l = o * inner + i lies at (o * length + k) * inner + i. So rows, columns,
// channels first and channels last are the same code with other numbers.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define JAXTV_HD __host__ __device__
#else
#define JAXTV_HD
#endif

// For the functions that kernels compiled for one instruction set call (cpu/simd/vectors.h). A copy
// of such a function in their object file could be the one that the linker keeps for all callers,
// so it must leave no copy anywhere: tests/test_symbols.py.
#if defined(_MSC_VER)
#define JAXTV_ALWAYS_INLINE __forceinline
#else
#define JAXTV_ALWAYS_INLINE inline __attribute__((always_inline))
#endif

namespace jaxtv {

// One line in memory.
template <typename T>
struct Line {
  T* data;
  int64_t stride;

  JAXTV_HD T& operator[](int64_t k) const { return data[k * stride]; }
};

// A line times a factor.
template <typename T>
struct ScaledLine {
  Line<const T> line;
  T factor;

  JAXTV_HD T operator[](int64_t k) const { return line[k] * factor; }
};

// Numbers of a size between 1 / kUnit and kUnit may be added up over a line of any length.
template <typename T>
constexpr T kUnit = sizeof(T) < sizeof(double) ? T(0x1p64) : T(0x1p512);

// For samples in [low, high], the factor with which no sum of them overflows or loses digits to
// underflow. A power of two, which costs no digit itself; nearly always 1.
template <typename T>
JAXTV_HD T UnitOf(T low, T high) {
  const T most = high > -low ? high : -low;
  return most > kUnit<T> ? T(1) / kUnit<T> : most < T(1) / kUnit<T> ? kUnit<T> : T(1);
}

// All lines of an array along one axis.
struct Lines {
  int64_t outer;
  int64_t length;
  int64_t inner;

  JAXTV_HD int64_t count() const { return outer * inner; }

  // Where a line begins.
  JAXTV_HD int64_t First(int64_t line) const {
    return (line / inner) * length * inner + line % inner;
  }

  template <typename T>
  JAXTV_HD Line<T> At(T* data, int64_t line) const {
    return {data + First(line), inner};
  }
};

// The weights of the edges between neighbours, for each line of a `Lines`. Every dimension of the
// weight array is full or has size 1; size 1 means stride 0, so nothing is ever copied.
struct WeightLayout {
  static constexpr int kMaxDims = 12;

  int rank = 0;                   // batch dimensions, outer ones first, neighbours of a kind merged
  int64_t size[kMaxDims] = {};    // extent in lines
  int64_t stride[kMaxDims] = {};  // elements of the weight array, 0 where it broadcasts
  int64_t edge_stride = 0;        // along the line, 0 for one weight per line

  template <typename T>
  JAXTV_HD Line<T> At(T* data, int64_t line) const {
    for (int d = rank - 1; d >= 0; --d) {
      data += (line % size[d]) * stride[d];
      line /= size[d];
    }
    return {data, edge_stride};
  }
};

}  // namespace jaxtv
