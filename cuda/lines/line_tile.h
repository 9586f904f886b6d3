// SPDX-License-Identifier: MIT
// The grids of kernels with a thread for each line, in memory and staged, and the lines that a
// block stages in shared memory.
#pragma once

#include "core/line.h"
#include "cuda/common/launch.h"
#include "cuda/common/scan.h"
#include "cuda/lines/kernel_choice.h"
#include "cuda/lines/wanted_lines.h"

namespace jaxtv::cuda {
namespace {

constexpr int kLineThreads = 64;
constexpr int kLineBlocks = 8;  // minimum blocks per SM: without it nvcc caps registers and spills

// The staged lines of a block.
struct LineTile {
  Lines lines;
  int64_t first;
  int count;

  __device__ LineTile(const Lines& all, int per_tile) : lines(all) {
    first = int64_t(blockIdx.x) * per_tile;
    const int64_t left = all.count() - first;
    count = left < per_tile ? int(left) : per_tile;
  }

  template <typename T>
  __device__ Line<T> Row(T* tile) const {
    return {tile + threadIdx.x * RowStride(lines.length), 1};
  }

  // Calls visit(index in memory, index in the tile) for each sample; neighbouring lanes take
  // neighbours in memory.
  template <typename Visit>
  __device__ void ForEach(const Visit& visit) const {
    ForEach(int(lines.length), visit);
  }

  // The same for an array whose lines have another length in memory.
  template <typename Visit>
  __device__ void ForEach(int length, const Visit& visit) const {
    const int inner = int(lines.inner), stride = int(RowStride(lines.length));
    const int samples = length * inner;
    for (int group = 0; group < count; group += inner) {
      const int64_t base = (first + group) * length;
      int k = int(threadIdx.x) / inner, i = int(threadIdx.x) % inner;
      for (int e = threadIdx.x; e < samples; e += kWarp) {
        visit(base + e, (group + i) * stride + k);
        k += kWarp / inner;
        i += kWarp % inner;
        if (i >= inner) {
          i -= inner;
          ++k;
        }
      }
    }
  }
};

// Whether any line of a tile is.
template <typename Tile>
__device__ bool AnyWanted(const Tile& tile, const WantedLines& wanted) {
  const bool has = int(threadIdx.x) < tile.count;
  return __any_sync(kAllLanes, has && wanted.Has(tile.lines, tile.first + threadIdx.x));
}

inline Grid LineGrid(const Lines& lines, cudaStream_t stream) {
  return {CeilDiv(lines.count(), kLineThreads), kLineThreads, 0, stream};
}

inline Grid TileGrid(const Lines& lines, size_t sample_bytes, cudaStream_t stream) {
  return {CeilDiv(lines.count(), LinesPerTile(lines)), kWarp,
          size_t(TileBytes(lines, sample_bytes)), stream};
}

}  // namespace
}  // namespace jaxtv::cuda
