// SPDX-License-Identifier: MIT
// Lines cut into parts. A block has 32 neighbouring lines, one for each lane of a warp, and each of
// its warps walks a part of them. Where inner >= 32, lanes read neighbouring samples; where inner
// is 1, each lane reads contiguously. A scan over the parts of a line carries what depends on the
// parts before.
#pragma once

#include "core/line.h"
#include "cuda/common/launch.h"
#include "cuda/common/scan.h"

namespace jaxtv::cuda {
namespace {  // as in scan.h

constexpr int kPartLines = 32;
constexpr int kMaxParts = 16;
constexpr int kPartThreads = kMaxParts * kPartLines;
constexpr int kPartBlocks = 1;  // minimum blocks per SM: without it nvcc caps registers and spills
constexpr int64_t kLeastPart = 32;  // samples; a shorter line is one part

inline Grid LinePartGrid(const Lines& lines, cudaStream_t stream) {
  const int64_t wanted = CeilDiv(lines.length, kLeastPart);
  const int parts = int(wanted < kMaxParts ? wanted : kMaxParts);
  return {CeilDiv(lines.count(), kPartLines), parts * kPartLines, 0, stream};
}

// The samples [begin, end) of the line of a thread; none for a thread without a line.
struct LinePart {
  int64_t line = 0, begin = 0, end = 0;

  __device__ explicit LinePart(const Lines& lines) {
    const int64_t mine = int64_t(blockIdx.x) * kPartLines + threadIdx.x % kPartLines;
    if (mine >= lines.count()) return;
    const int64_t parts = blockDim.x / kPartLines;
    const int64_t samples = (lines.length + parts - 1) / parts;
    line = mine;
    begin = min(int64_t(threadIdx.x / kPartLines) * samples, lines.length);
    end = min(begin + samples, lines.length);
  }
};

// The product, from `identity`, over the parts of the line before this one; over those behind it
// for a backward scan.
template <Direction kDirection, typename Operator>
__device__ Operator BeforePart(const Operator& mine, const Operator& identity) {
  __shared__ Operator of_part[kMaxParts][kPartLines];
  const int lane = threadIdx.x % kPartLines, part = threadIdx.x / kPartLines;
  of_part[part][lane] = mine;
  __syncthreads();
  Operator product = identity;
  if (kDirection == Direction::kForward) {
    for (int c = 0; c < part; ++c) product = product.Then(of_part[c][lane]);
  } else {
    for (int c = blockDim.x / kPartLines - 1; c > part; --c) {
      product = product.Then(of_part[c][lane]);
    }
  }
  __syncthreads();  // before the next scan writes of_part
  return product;
}

}  // namespace
}  // namespace jaxtv::cuda
