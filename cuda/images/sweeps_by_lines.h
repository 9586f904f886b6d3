// SPDX-License-Identifier: MIT
// K sweeps over images of float that no block can keep in shared memory, and their reverse, with
// the operands of sweeps.h: a launch for each half sweep, in which a warp has a line
// (warp_lines.h). Each line has one weight, or one cotangent of it.
//
// A pixel needs no memory but that of its results. A half sweep reads z and x, and writes
// x - (z - y), which is what the next one solves, where the result will be, and codes, two bits of
// a byte. So it moves 12 bytes of floats and one or two of codes; the first one, which has no z,
// and the last one, which needs no x, move 8. The reverse of a half sweep reads what both axes have
// given so far and a byte of codes, and writes one of the two: 13 bytes.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "core/sweeps.h"
#include "cuda/common/status.h"
#include "cuda/images/sweeps.h"

namespace jaxtv::cuda {

// Whether there are such kernels for images of these sides. A warp is wasted on shorter lines.
constexpr int64_t kLeastSideByLines = 65, kLargestSideByLines = 2048;

constexpr bool SweptByLines(int64_t height, int64_t width, int64_t sample_bytes) {
  const int64_t shorter = height < width ? height : width, longer = height + width - shorter;
  return sample_bytes == int64_t(sizeof(float)) && shorter >= kLeastSideByLines &&
         longer <= kLargestSideByLines;
}

// Work space: for each image whether it is spoilt; for the reverse a number for each pixel.
constexpr int64_t kSpoiltImageBytes = sizeof(int);
constexpr int64_t kReverseSampleBytes = sizeof(float);

// One of the half sweeps over an array.
struct HalfSweep {
  SweepImages images;
  int number;

  JAXTV_HD int Count() const { return 2 * images.num_sweeps; }
  JAXTV_HD bool IsFirst() const { return number == 0; }
  JAXTV_HD bool IsLast() const { return number == Count() - 1; }
  JAXTV_HD int Axis() const { return (images.first_axis + number) % 2; }
  JAXTV_HD Lines Along() const { return images.Along(Axis()); }
  JAXTV_HD int Shift() const { return CodeShift(number); }

  // The codes of an array, such that those of this half sweep at the pixel that is at `at` of the
  // array, or at any other one of the same sample, are at [at].
  template <typename Byte>
  JAXTV_HD Byte* Codes(Byte* all, int64_t at) const {
    const int64_t pixels = images.Pixels(), before = at / pixels;  // samples
    return all + (before * (CodePlanes(Count()) - 1) + number / kCodesPerByte) * pixels;
  }
};

// `spoilt`: kSpoiltImageBytes for each image, which may hold anything.
Status SweepsByLines(cudaStream_t stream, const SweepImages& images,
                     const WeightLayout (&weights)[2], const float* x, const float* const (&lam)[2],
                     float* y, uint8_t* bits, int* spoilt);

// `second`: kReverseSampleBytes for each pixel, which may hold anything.
Status SweepsReverseByLines(cudaStream_t stream, const SweepImages& images, const float* y_bar,
                            const uint8_t* bits, float* x_bar, float* const (&lam_bar)[2],
                            float* second);

}  // namespace jaxtv::cuda
