// SPDX-License-Identifier: MIT
// A sweep over an image by one block: the steps of SweepWalk (sweep_lines.cu), with the same bits.
// The threads take pixels, of which each always has the same ones, and the first of them lines.
#pragma once

#include "cuda/images/chip_image.h"
#include "cuda/images/search_steps.h"
#include "cuda/images/sweep_sums.h"
#include "cuda/images/swept_axis.h"
#include "cuda/lines/prox_in_step.h"

namespace jaxtv::cuda {
namespace {  // as in scan.h

struct ChipSweep {
  int height, width;
  const ChipSpace& space;
  SweptAxis<float> axes[2];
  const ImageNumbers<float>& numbers;  // of this image alone

  __device__ void Run() const {
    const OfImage<float> image{true, *numbers.beta};
    Half<0>(image);
    Half<1>(image);
    __syncthreads();
    SweepSums mine{0.0, 0.0, 0.0};
    const int row = int(threadIdx.x) * Stride();
    for (int k = 0; int(threadIdx.x) < height && k < width; ++k) {
      mine = mine.And(SweepTerms<float>{space.samples[row + k], space.slots[row + k], 0.0f});
    }
    const SweepSums total = SumOverBlock<kChipThreads>({0.0, 0.0, 0.0}, mine);
    if (threadIdx.x == 0) EndSweep(numbers, total, false, 0);
    __syncthreads();
  }

 private:
  __device__ int Stride() const { return width | 1; }

  // Calls visit(offset in the image, slot) for the thread's pixels: a warp takes a row at a time.
  template <typename Visit>
  __device__ void ForPixels(const Visit& visit) const {
    for (int i = int(threadIdx.x) / 32; i < height; i += kChipThreads / 32) {
      for (int j = int(threadIdx.x) % 32; j < width; j += 32) {
        visit(i * width + j, i * Stride() + j);
      }
    }
  }

  // After the second axis, the terms of the sums take the places of samples and slots.
  template <int kAxis>
  __device__ void Half(const OfImage<float>& image) const {
    const SweptAxis<float>& axis = axes[kAxis];
    ForPixels([&](int at, int slot) {
      space.samples[slot] = axis.Input(image, axis.Read(at), at);
      space.slots[slot] = kUnset;
    });
    __syncthreads();
    if (kAxis == 0) {
      Solve(Stride(), 1, width, height, space.weights[0]);
    } else {
      Solve(Floats<1>(), Stride(), height, width, space.weights[1]);
    }
    __syncthreads();
    ForPixels([&](int at, int slot) {
      const float y = axis.result[at] = space.slots[slot];
      const SweepTerms<float> terms = axis.Finish(image, axis.ReadAgain(at), at, y);
      space.samples[slot] = terms.against;
      space.slots[slot] = terms.apart;
    });
  }

  // The prox of `count` lines of n samples, `step` from each to the next: a thread for each.
  template <typename Step>
  __device__ void Solve(Step step, int between, int count, int n, const float* weights) const {
    const int line = int(threadIdx.x), first = line * between;
    if (line >= count) return;
    const SlottedLine<Step> own{space.samples + first, space.slots + first, step};
    SolveInStep(own, space.inverses, {weights + line, 0}, n, {space.slots + first, step});
  }
};

}  // namespace
}  // namespace jaxtv::cuda
