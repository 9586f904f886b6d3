// SPDX-License-Identifier: MIT
// Lines of up to 2048 samples of float, one for each warp of a block: their arrangement over the
// lanes and in shared memory, and the copies from and to global memory.
//
// Lane l holds the samples l * kSamples .. l * kSamples + kSamples - 1 in registers. In shared
// memory a line takes `kCells` cells, ordered such that neither the lanes at the same one of their
// samples nor neighbouring samples meet in a bank.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "core/line.h"
#include "cuda/common/launch.h"
#include "cuda/common/scan.h"
#include "cuda/common/shared_address.h"
#include "cuda/common/stored.h"
#include "cuda/lines/kernel_choice.h"

namespace jaxtv::cuda {
namespace {

template <int kSamplesOfLane>
struct WarpShape {
  static constexpr int kSamples = kSamplesOfLane;
  static constexpr int kLanes = 32;
  static constexpr int kPitch = kLanes + (kSamples < kLanes ? kLanes / kSamples : 1);
  static constexpr int kCells = kSamples * kPitch + 8;
  static constexpr int kWarps = 64 / kSamples;  // of a block: as many as shared memory suffices for
  static constexpr int kThreads = kWarps * kLanes;
  static constexpr int kBlocks = kSamples == 8    ? 3
                                 : kSamples == 16 ? 5
                                                  : 6;  // of a multiprocessor, at least

  // A bit for each sample of a lane, the first one highest.
  using Bits = std::conditional_t<(kSamples > 32), uint64_t, uint32_t>;
  static constexpr Bits kAll = Bits(~Bits(0)) >> (sizeof(Bits) * 8 - kSamples);

  __device__ static bool Has(Bits bits, int k) { return (bits >> (kSamples - 1 - k) & 1) != 0; }

  __device__ static int Cell(int sample) { return sample % kSamples * kPitch + sample / kSamples; }

  // How far on the cell of a sample below kLanes is that of the one i * kLanes behind: without a
  // division where i is known.
  __device__ static int CellsOnward(int i) {
    if constexpr (kSamples <= kLanes) return i * (kLanes / kSamples);
    static_assert(kSamples <= kLanes || kSamples == 2 * kLanes);
    return i % 2 * kLanes * kPitch + i / 2;
  }
};

// The lines of a block. A thread copies every 32nd sample of one of them: where inner is 1, its
// warp those of its own line, and else the block the same sample of all lines at a time.
template <typename Shape>
struct WarpLines {
  Lines lines;
  int64_t line;     // of this thread's warp
  int64_t copied;   // the line that this thread copies
  int64_t begin;    // where that one begins in memory
  int slot, first;  // the place of that line in the block, and its first sample that is copied
  bool apart;       // each warp copies its own line

  __device__ explicit WarpLines(const Lines& all) : lines(all), apart(all.inner == 1) {
    const int thread = threadIdx.x, warp = thread / Shape::kLanes;
    const int64_t block = int64_t(blockIdx.x) * Shape::kWarps;
    slot = apart ? warp : thread % Shape::kWarps;
    first = apart ? thread % Shape::kLanes : thread / Shape::kWarps;
    line = block + warp;
    copied = block + slot;
    begin = Kept(lines.First(copied));
  }

  __device__ bool HasLine() const { return line < lines.count(); }

  // Before and after a copy, from or to the cells of its line.
  __device__ void Synchronize() const {
    if (apart) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }

  template <typename S>
  __device__ void Load(const S* x, float* cells) const {
    Visit([=](int64_t at, int cell) { cells[cell] = Widened(x[at]); });
    Synchronize();
  }

  template <typename S>
  __device__ void Store(S* y, const float* cells) const {
    Synchronize();
    Copy(y, cells);
  }

  template <typename S>
  __device__ void Copy(S* y, const float* cells) const {
    Visit([=](int64_t at, int cell) { cuda::Store(cells[cell], y + at); });
  }

  // The samples that this thread copies, for InBatches.
  __device__ int Copies() const {
    if (copied >= lines.count()) return 0;
    return (int(lines.length) - first + Shape::kLanes - 1) / Shape::kLanes;
  }
  __device__ int64_t At(int i) const { return lines.First(copied) + Sample(i) * lines.inner; }
  __device__ int Sample(int i) const { return first + i * Shape::kLanes; }
  __device__ int Slot(int i) const { return Shape::Cell(first) + Shape::CellsOnward(i); }

  // That of the sample behind.
  __device__ int SlotBehind(int i) const {
    if constexpr (Shape::kSamples > Shape::kLanes) return Shape::Cell(Sample(i) + 1);
    return Shape::Cell(first + 1) + Shape::CellsOnward(i);
  }

  // The sum over the threads that copy a line, in the first kWarps threads of the block, or in all
  // of its warp.
  template <typename Sum>
  __device__ Sum OverLine(Sum mine) const {
    for (int distance = apart ? 1 : Shape::kWarps; distance < Shape::kLanes; distance *= 2) {
      mine = mine.Then(mine.Each(
          [distance](auto number) { return __shfl_xor_sync(kAllLanes, number, distance); }));
    }
    if (apart) return mine;
    __shared__ Sum of_warps[Shape::kWarps][Shape::kWarps];
    const int warp = int(threadIdx.x) / Shape::kLanes, lane = int(threadIdx.x) % Shape::kLanes;
    if (lane < Shape::kWarps) of_warps[warp][lane] = mine;
    __syncthreads();
    Sum total = of_warps[0][slot];
    for (int w = 1; w < Shape::kWarps; ++w) total = total.Then(of_warps[w][slot]);
    return total;
  }

  // Whether this thread is the first one that copies its line.
  __device__ bool IsFirst() const { return first == 0 && copied < lines.count(); }

 private:
  template <typename Copy>
  __device__ void Visit(const Copy& copy) const {
    if (copied >= lines.count()) return;
    const int n = int(lines.length);
#pragma unroll
    for (int i = 0; i < Shape::kSamples; ++i) {
      if (Sample(i) < n) copy(At(i), Slot(i));
    }
  }
};

// Calls launch(shape) with the shape for lines of this length, which of a half type `S` are the
// shortest.
template <typename S, typename Launcher>
Status LaunchByWarps(int64_t length, const Launcher& launch) {
  if constexpr (!std::is_same_v<S, float>) {
    static_assert(kHalfLength <= 32 * 8);
    return launch(WarpShape<8>());
  } else {
    if (length <= 32 * 8) return launch(WarpShape<8>());
    if (length <= 32 * 16) return launch(WarpShape<16>());
    if (length <= 32 * 32) return launch(WarpShape<32>());
    return launch(WarpShape<64>());
  }
}

}  // namespace
}  // namespace jaxtv::cuda
