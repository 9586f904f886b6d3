// SPDX-License-Identifier: MIT
// An image that one block solves by itself (solve_on_chip.cu): its operands, which are in global
// memory as the results are, and what is in the shared memory of the block. The image is its rows,
// one after the other, so that offsets within the image are those of an array of one image.
#pragma once

#include "cuda/images/alternating.h"
#include "cuda/images/line_parts.h"
#include "cuda/images/work_space.h"

namespace jaxtv::cuda {
namespace {  // as in scan.h

constexpr int kChipThreads = kPartThreads;

// The operands of all images. Axis 0 is along the height, so that its lines are columns.
struct ChipAxis {
  WeightLayout weights;
  const float *lam, *start;
  float *result, *dual;
};

struct ChipImages {
  int height, width;
  const float* x;
  float* y;
  ChipAxis axes[2];
  float* previous;  // of the second axis
  ImageNumbers<float> numbers;
  double rounding;  // of the sums of the gap
};

JAXTV_HD inline Lines LinesOnChip(int height, int width, int axis) {
  return axis == 0 ? Lines{1, height, width} : Lines{height, width, 1};
}

// Cut out of shared memory. While there are sweeps, what only certificates need holds the lines
// that are walked: 12 of its 24 bytes a pixel and 8 for each row.
struct ChipSpace {
  double* residual;
  Components<int> components;
  float *p[2], *point;
  unsigned char *joined[2], *voted[2];
  float *samples, *slots, *input;  // rows of the first two have an odd stride
  float *weights[2], *inverses;
  size_t bytes;

  JAXTV_HD ChipSpace(void* shared, int height, int width) {
    const int64_t pixels = int64_t(height) * width, cells = int64_t(height) * (width | 1);
    WorkSpace space(shared), of_sweeps(shared);
    residual = space.Take<double>(pixels);
    components = space.TakeComponents<int>(pixels);
    samples = of_sweeps.Take<float>(cells);
    slots = of_sweeps.Take<float>(cells);
    input = of_sweeps.Take<float>(pixels);
    for (float*& dual : p) dual = space.Take<float>(pixels);
    point = space.Take<float>(pixels);
    weights[0] = space.Take<float>(width);
    weights[1] = space.Take<float>(height);
    inverses = space.Take<float>((height > width ? height : width) + 1);
    for (unsigned char*& edges : joined) edges = space.Take<unsigned char>(pixels);
    for (unsigned char*& edges : voted) edges = space.Take<unsigned char>(pixels);
    const unsigned char* const end = space.Take<unsigned char>(0);
    bytes = size_t(end - static_cast<unsigned char*>(shared));
  }
};

}  // namespace
}  // namespace jaxtv::cuda
