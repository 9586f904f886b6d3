// SPDX-License-Identifier: MIT
// Lines cut into chunks: a block has 32 neighbouring lines, one for each lane of a warp, and each
// of its warps walks a chunk of them. Where inner >= 32, lanes read neighbouring samples; where
// inner is 1, each reads on where it has read before. What a chunk must know of those before it, it
// gets by a scan.
#pragma once

#include "core/line.h"
#include "cuda/launch.h"
#include "cuda/scan.h"

namespace jaxtv::cuda {
namespace {  // as in scan.h

constexpr int kChunkLanes = 32;
constexpr int kMaxChunks = 16;
constexpr int kChunkThreads = kMaxChunks * kChunkLanes;
constexpr int kChunkBlocks = 1;        // without it, nvcc saves registers by spilling
constexpr int64_t kChunkSamples = 32;  // at least, where the line is so long

inline Grid ChunkGrid(const Lines& lines, cudaStream_t stream) {
  const int64_t wanted = CeilDiv(lines.length, kChunkSamples);
  const int chunks = int(wanted < kMaxChunks ? wanted : kMaxChunks);
  return {CeilDiv(lines.count(), kChunkLanes), chunks * kChunkLanes, 0, stream};
}

// The samples [begin, end) of a line that a thread has; none in a thread without a line.
struct Chunk {
  int64_t line = 0, begin = 0, end = 0;

  __device__ explicit Chunk(const Lines& lines) {
    const int64_t mine = int64_t(blockIdx.x) * kChunkLanes + threadIdx.x % kChunkLanes;
    if (mine >= lines.count()) return;
    const int64_t chunks = blockDim.x / kChunkLanes;
    const int64_t samples = (lines.length + chunks - 1) / chunks;
    line = mine;
    begin = min(int64_t(threadIdx.x / kChunkLanes) * samples, lines.length);
    end = min(begin + samples, lines.length);
  }
};

// The product, from `identity`, of what the chunks before this one have; after it, if backward.
template <Direction kDirection, typename Operator>
__device__ Operator BeforeChunk(const Operator& mine, const Operator& identity) {
  __shared__ Operator of_chunk[kMaxChunks][kChunkLanes];
  const int lane = threadIdx.x % kChunkLanes, chunk = threadIdx.x / kChunkLanes;
  of_chunk[chunk][lane] = mine;
  __syncthreads();
  Operator product = identity;
  if (kDirection == Direction::kForward) {
    for (int c = 0; c < chunk; ++c) product = product.Then(of_chunk[c][lane]);
  } else {
    for (int c = blockDim.x / kChunkLanes - 1; c > chunk; --c) {
      product = product.Then(of_chunk[c][lane]);
    }
  }
  __syncthreads();  // before a next scan writes of_chunk
  return product;
}

}  // namespace
}  // namespace jaxtv::cuda
