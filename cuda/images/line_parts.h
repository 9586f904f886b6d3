// SPDX-License-Identifier: MIT
// Lines cut into parts, one for each thread. Where inner is 1, neighbouring lanes have the parts of
// a line, else those of neighbouring lines: so they touch neighbours in memory. A scan over the
// parts of a line carries what depends on the parts before.
#pragma once

#include "core/line.h"
#include "cuda/common/launch.h"
#include "cuda/common/scan.h"
#include "cuda/common/shared_memory.h"
#include "cuda/lines/wanted_lines.h"

namespace jaxtv::cuda {
namespace {  // as in scan.h

constexpr int kPartThreads = 256;
constexpr int kMaxParts = 32;
constexpr int kPartBlocks = 1;  // minimum blocks per SM: without it nvcc caps registers and spills
constexpr int64_t kLeastPart = 16;  // samples of a column; a shorter one is one part

// How many parts a line has: a power of two, so that they fill warps and blocks.
JAXTV_HD inline int PartsOf(const Lines& lines) {
  const int64_t least = lines.inner == 1 ? 1 : kLeastPart;
  int parts = 1;
  while (parts < kMaxParts && parts * least < lines.length) parts *= 2;
  return parts;
}

// How many blocks have the parts of all lines.
JAXTV_HD inline int64_t PartBlocks(const Lines& lines) {
  return CeilDiv(lines.count() * PartsOf(lines), kPartThreads);
}

inline Grid LinePartGrid(const Lines& lines, cudaStream_t stream) {
  return {PartBlocks(lines), kPartThreads, 0, stream};
}

// The samples [begin, end) of the line of a thread; none for a thread without a line. `index` is
// the number of the part among `count`.
struct LinePart {
  int64_t line = 0, begin = 0, end = 0, length = 0;
  int index, count;
  bool across_lanes;  // whether neighbouring lanes have the parts of a line

  __device__ explicit LinePart(const Lines& lines, int64_t block = blockIdx.x)
      : count(PartsOf(lines)), across_lanes(lines.inner == 1) {
    const int of_block = kPartThreads / count;  // lines
    index = int(threadIdx.x) / of_block;
    int in_block = int(threadIdx.x) % of_block;
    if (across_lanes) {
      index = int(threadIdx.x) % count;
      in_block = int(threadIdx.x) / count;
    }
    const int64_t mine = block * of_block + in_block;
    if (mine >= lines.count()) return;
    const int64_t samples = (lines.length + count - 1) / count;
    line = mine;
    length = lines.length;
    begin = min(int64_t(index) * samples, length);
    end = min(begin + samples, length);
  }

  // Calls visit(k) for as many samples, of which each lane takes one of neighbours: for passes in
  // which the order of samples does not matter.
  template <typename Visit>
  __device__ void ForSpread(const Visit& visit) const {
#pragma unroll 4  // loads of several samples at once
    for (int64_t k = index; k < length; k += count) visit(k);
  }
};

// Samples of a line in shared memory, for passes in which a thread goes along its part: where lanes
// have the parts of a line, these are far apart in memory. Of every 33 cells one is unused, so that
// parts of up to 32 samples begin in different banks.
template <typename V>
struct StagedLine {
  V* cells;

  __device__ V& operator[](int64_t k) const {
    const unsigned place = unsigned(k);  // fewer instructions than 64 bits
    return cells[place + place / 32];
  }
};

// Whether the lines of a block are staged, where they need so many bytes for a sample: they are of
// one image row after the other, their parts have several samples, and there is room.
inline int64_t StagedBytes(const Lines& lines, int64_t sample_bytes) {
  return kPartThreads / PartsOf(lines) * (lines.length + lines.length / 32 + 1) * sample_bytes;
}

inline bool PartsAreStaged(const Lines& lines, int64_t sample_bytes) {
  constexpr int64_t kStaticBytes = 8 * 1024;  // at most: the scans of BeforePart
  if (lines.inner != 1 || lines.length <= PartsOf(lines)) return false;
  return StagedBytes(lines, sample_bytes) + kStaticBytes <=
         SharedMemoryOfDevice(cudaDevAttrMaxSharedMemoryPerBlockOptin);
}

// The staged line of a thread, with `arrays` of them for each line of the block.
template <typename V>
__device__ StagedLine<V> StagedLineOf(const LinePart& part, int64_t length, V* cells, int array,
                                      int arrays) {
  const int in_block = int(threadIdx.x) / part.count;
  return {cells + (in_block * arrays + array) * (length + length / 32 + 1)};
}

// Whether any line of the block is of an image that is wanted.
__device__ inline bool AnyWanted(const LinePart& part, const Lines& lines,
                                 const WantedLines& wanted) {
  return wanted.All() || __syncthreads_or(part.length > 0 && wanted.Has(lines, part.line));
}

// The product, from `identity`, over the parts of the line before `part`; over those behind it for
// a backward scan.
template <Direction kDirection, typename Operator>
__device__ Operator BeforePart(const LinePart& part, const Operator& mine,
                               const Operator& identity) {
  constexpr bool kForward = kDirection == Direction::kForward;
  if (part.across_lanes) {
    const Operator up_to_here = InclusiveWarpScan<kDirection>(mine, part.count);
    const Operator before = ShiftLanes<kDirection>(up_to_here, 1);
    return part.index == (kForward ? 0 : part.count - 1) ? identity : before;
  }
  __shared__ Operator of_part[kPartThreads];
  of_part[threadIdx.x] = mine;
  __syncthreads();
  const int of_block = kPartThreads / part.count, in_block = int(threadIdx.x) % of_block;
  Operator product = identity;
  if (kForward) {
    for (int c = 0; c < part.index; ++c) product = product.Then(of_part[c * of_block + in_block]);
  } else {
    for (int c = part.count - 1; c > part.index; --c) {
      product = product.Then(of_part[c * of_block + in_block]);
    }
  }
  __syncthreads();  // before the next scan writes of_part
  return product;
}

}  // namespace
}  // namespace jaxtv::cuda
