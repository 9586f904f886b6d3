// SPDX-License-Identifier: MIT
// Loops over neighbouring pixels of an image. They are compiled from pixel_kernels.cc for each
// instruction set; sums keep kRowSumLanes partial sums in a fixed order, so that all give the same
// bits.
#pragma once

#include <cstdint>

#include "cpu/simd/isa.h"
#include "cpu/simd/rows.h"

namespace jaxtv {

// The sums that alternating.h needs of one pass of line solves.
struct StepSums {
  RowSum against, residual, energy;
};

// The two parts of the duality gap of certificate.h.
struct GapSums {
  RowSum square, jumps;
};

// The factors of the terms of z in the optimised sweep of alternating.h.
template <typename T>
struct Optimised {
  T ahead, first, previous;
};

template <typename T>
struct PixelKernels {
  // The least and the greatest value, and the sum; false if one is not finite.
  bool (*extent)(int64_t n, const T* x, T* low, T* high, double* sum);

  // The sum of (x - mean)^2.
  double (*deviation)(int64_t n, const T* x, double mean);

  // out = base + sign (now + beta (now - before)).
  void (*extrapolate)(int64_t n, const T* base, T sign, const T* now, const T* before, T beta,
                      T* out);

  // With w = now + first: out = w + ahead (w - w before) + step.first first + step.previous
  // previous. Replaces `w`.
  void (*optimise)(int64_t n, const Optimised<T>& step, const T* first, const T* now,
                   const T* previous, T* w, T* out);

  // After a line solve from `in` to `out`: the dual in - out replaces `before`, `out` is copied to
  // `result`, and the sums grow: those of step (dual - now),
  // step^2 and out^2, with step = scale out - previous.
  void (*step)(int64_t n, const T* in, const T* out, const T* previous, const T* now, T scale,
               T* before, T* result, StepSums* sums);

  // v = x - y - the duals.
  void (*rest)(int64_t n, const T* x, const T* y, const T* const* duals, int64_t count, double* v);

  // The edges from a row of pixels with values `y` to the next row. `sum` is the running sum of -v
  // over the rows before, and becomes the dual of the edge: at a jump the weight, by its sign.
  void (*edge_row)(int64_t n, const double* v, RowWeights<T> weights, const T* y, const T* next,
                   double* sum, T* dual, uint8_t* fused);

  // The same for the edges inside each of `count` rows, with v = a - b (or a, where b is null).
  void (*edge_lines)(int64_t count, int64_t n, const T* a, const T* b, RowWeights<T> weights,
                     const T* y, T* dual, uint8_t* fused);

  // r = x + the sum over axes of (after - before).
  void (*residual)(int64_t n, const T* x, const T* const* after, const T* const* before,
                   int64_t axes, double* r);

  // Adds (z - r)^2.
  void (*add_square)(int64_t n, const T* z, const double* r, RowSum* sum);

  // Adds w |next - z| - p (next - z), in a form that does not cancel.
  void (*add_jumps)(int64_t n, const T* z, const T* next, RowWeights<T> weights, const T* dual,
                    RowSum* sum);

  // One row of a majority vote (majority_vote.h), on the way down and on the way up.
  void (*count_votes)(int64_t n, const uint8_t* edges, const uint8_t* joined,
                      const uint8_t* joined_next, int32_t* balance, uint8_t* kept);
  void (*apply_verdicts)(int64_t n, const uint8_t* edges, const uint8_t* joined,
                         const uint8_t* joined_next, uint8_t* verdict, uint8_t* kept);
};

struct PixelSet {
  PixelKernels<float> f32;
  PixelKernels<double> f64;
};

namespace portable {
const PixelSet& Pixels();
}
namespace avx2 {
const PixelSet& Pixels();
}
namespace avx512 {
const PixelSet& Pixels();
}

inline const PixelSet& PixelsOfThisProcessor() {
#if defined(JAXTV_LANES) && defined(__x86_64__)
  switch (FindIsa()) {
    case Isa::kAvx512:
      return avx512::Pixels();
    case Isa::kAvx2:
      return avx2::Pixels();
    default:
      break;
  }
#endif
  return portable::Pixels();
}

template <typename T>
const PixelKernels<T>& Pixels() {
  static const PixelSet& set = PixelsOfThisProcessor();
  return KernelsFor<T>(set);
}

}  // namespace jaxtv
