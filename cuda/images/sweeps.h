// SPDX-License-Identifier: MIT
// A fixed number of sweeps over two axes of images, and their reverse (jaxtv/_operators/sweeps.py),
// each in one launch: a block keeps its images in shared memory from the first half sweep to the
// last. `T` is float or double. All pointers are of device memory; nothing is allocated, nothing
// waits. `S` is how images are stored: T or, where T is float, a half type.
//
//   images                                                  kernels
//   float, a weight or its cotangent for each line, and     sweeps_in_step.cu, reverse_in_step.cu
//     sides that ImagesInStep takes
//   all others, and the derivative of a weight on an edge   sweeps.cu
//   float, too large for a block, a weight for each line    sweeps_by_lines.h, by launches
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/line.h"
#include "cuda/common/shared_memory.h"
#include "cuda/common/status.h"
#include "cuda/common/stored.h"

namespace jaxtv::cuda {

// Images in an array [outer, height, between, width, inner].
struct SweepImages {
  int64_t outer, between, inner;
  int height, width;
  int first_axis;  // a sweep begins along the height (0) or the width (1)
  int num_sweeps;

  // All lines of the array along the height (0) or the width (1).
  JAXTV_HD Lines Along(int axis) const {
    if (axis == 0) return {outer, height, between * width * inner};
    return {outer * height * between, width, inner};
  }

  // Pixels of all images of a sample, that is from the height on.
  JAXTV_HD int64_t Pixels() const { return height * between * width * inner; }
};

// Rows in shared memory have an odd stride, so that the samples of a row, and those of a column,
// lie in different banks.
JAXTV_HD constexpr int64_t SharedPixels(int64_t height, int64_t width) {
  return height * (width | 1);
}

// Shared memory of an image: two numbers for each pixel, and for the reverse a byte of codes; for
// the forward sweeps 1 / d up to the length of its lines, and a byte for each line along an axis.
JAXTV_HD constexpr int64_t SharedBytes(int64_t height, int64_t width, int64_t sample_bytes) {
  const int64_t longer = height > width ? height : width;
  const int64_t of_lines = int64_t(sizeof(float)) * (longer + 1) + longer;
  return SharedPixels(height, width) * (2 * sample_bytes + 1) + of_lines;
}

constexpr int64_t kMaxTile = 8;  // images of a block: as many floats fill a sector of memory

// Whether a block of that device has as much as the images need.
bool FitsShared(int64_t height, int64_t width, int64_t sample_bytes);

// Pairs of weights, and of their cotangents: along the height, then along the width.
template <typename T, typename S>
Status Sweeps(cudaStream_t stream, const SweepImages& images, const WeightLayout (&weights)[2],
              const S* x, const T* const (&lam)[2], S* y, uint8_t* bits);

// `edges`: along this axis there is a cotangent for each edge of each line, else one for each line.
template <typename T, typename S>
Status SweepsReverse(cudaStream_t stream, const SweepImages& images, const bool (&edges)[2],
                     const S* y_bar, const uint8_t* bits, S* x_bar, T* const (&lam_bar)[2]);

}  // namespace jaxtv::cuda
