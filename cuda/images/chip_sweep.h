// SPDX-License-Identifier: MIT
// A sweep over an image by one block: the steps of SweepWalk (sweep_lines.cu), with the same bits.
// Each thread has some pixels, always the same ones, and the first threads a line.
#pragma once

#include "cuda/images/chip_image.h"
#include "cuda/images/search_steps.h"
#include "cuda/images/swept_axis.h"
#include "cuda/lines/prox_in_step.h"

namespace jaxtv::cuda {
namespace {  // as in scan.h

class ChipLines {
 public:
  __device__ ChipLines(int height, int width, const ChipSpace& space)
      : height_(height), width_(width), space_(space) {}

  // Half a sweep. The terms of the sums take the places of samples and slots.
  template <int kAxis>
  __device__ void Half(const OfImage<float>& image, const SweptAxis<float>& axis) const {
    ForPixels([&](int at, int slot) {
      space_.samples[slot] = axis.Input(image, axis.Read(at), at);
      space_.slots[slot] = kUnset;
    });
    __syncthreads();
    if (kAxis == 0) {
      Solve(Stride(), 1, width_, height_, space_.weights[0]);
    } else {
      Solve(Floats<1>(), Stride(), height_, width_, space_.weights[1]);
    }
    __syncthreads();
    ForPixels([&](int at, int slot) {
      const float y = axis.result[at] = space_.slots[slot];
      const SweepTerms<float> terms = axis.Finish(image, axis.ReadAgain(at), at, y);
      space_.samples[slot] = terms.against;
      space_.slots[slot] = terms.apart;
    });
  }

  // The sums over the thread's row, if it has one.
  __device__ SweepSums OverRow() const {
    SweepSums sums{0.0, 0.0, 0.0};
    const int row = int(threadIdx.x) * Stride();
    for (int k = 0; int(threadIdx.x) < height_ && k < width_; ++k) {
      sums = sums.And(SweepTerms<float>{space_.samples[row + k], space_.slots[row + k], 0.0f});
    }
    return sums;
  }

 private:
  __device__ int Stride() const { return width_ | 1; }

  // Calls visit(offset in the image, slot) for the thread's pixels: a warp takes a row at a time.
  template <typename Visit>
  __device__ void ForPixels(const Visit& visit) const {
    for (int i = int(threadIdx.x) / 32; i < height_; i += kChipThreads / 32) {
      for (int j = int(threadIdx.x) % 32; j < width_; j += 32) {
        visit(i * width_ + j, i * Stride() + j);
      }
    }
  }

  // The prox of `count` lines of n samples, `step` from each to the next: a thread for each.
  template <typename Step>
  __device__ void Solve(Step step, int between, int count, int n, const float* weights) const {
    const int line = int(threadIdx.x), first = line * between;
    if (line >= count) return;
    const SlottedLine<Step> own{space_.samples + first, space_.slots + first, step};
    SolveInStep(own, space_.inverses, {weights + line, 0}, n, {space_.slots + first, step});
  }

  const int height_, width_;
  const ChipSpace& space_;
};

// The sums over the image.
__device__ inline SweepSums SweepOnChip(const ChipLines& lines, const SweptAxis<float> (&axes)[2],
                                        float beta) {
  const OfImage<float> image{true, beta};
  lines.Half<0>(image, axes[0]);
  lines.Half<1>(image, axes[1]);
  __syncthreads();
  return SumOverBlock<kChipThreads>({0.0, 0.0, 0.0}, lines.OverRow());
}

}  // namespace
}  // namespace jaxtv::cuda
