// SPDX-License-Identifier: MIT
// Long lines in chunks, a block for each, and the state that chunks hand on between passes.
//
// A pass of all blocks is a scan in up to three launches: over each chunk alone; over the chunks of
// each line; and over each chunk once more, from the state at its beginning. Only the order of the
// stream synchronises the kernels.
#pragma once

#include "core/line.h"
#include "cuda/common/scan.h"
#include "cuda/common/wide_sum.h"
#include "cuda/lines/run_sums.h"

namespace jaxtv::cuda {
namespace {

constexpr int kChunkThreads = 256;
constexpr int kChunkBlocks = 2;  // minimum blocks per SM
constexpr int kJoinThreads = 512;
constexpr int kJoinBlocks = 1;  // minimum blocks per SM: without it nvcc caps registers and spills
constexpr int kLeastTiles = 2;  // of each chunk
constexpr int kMostChunks = 1024;  // of each line

// The cut of the lines of an array into chunks.
struct Chunks {
  Lines lines;
  int64_t length;  // of each chunk; the last one of a line may be shorter
  int per_line;

  explicit Chunks(const Lines& all) : lines(all) {
    constexpr int64_t kMostTiles = int64_t(kMostChunks) * kChunkThreads;
    const int64_t tiles = (all.length + kMostTiles - 1) / kMostTiles;
    length = kChunkThreads * (tiles > kLeastTiles ? tiles : kLeastTiles);
    per_line = int((all.length + length - 1) / length);
  }

  int64_t count() const { return lines.count() * per_line; }

  // The line of this block, the number of its chunk in the line, and the chunk.
  __device__ int64_t OwnLine() const { return blockIdx.x / per_line; }
  __device__ int OwnIndex() const { return int(blockIdx.x % per_line); }
  __device__ Stretch Own() const {
    const int64_t begin = OwnIndex() * length;
    return {begin, begin + length < lines.length ? begin + length : lines.length};
  }
};

// The runs of a chunk that touch its ends.
template <typename T>
struct RunsOfChunk {
  RunSumSince<T> sum;  // over the whole chunk, from its right end
  OpenRun<T> open;     // goes on behind the chunk
  int ends;            // a run that starts in the chunk ends with it, and so none is open
  double outgoing;     // the mean of the open run, or of the run that ends with the chunk
  double incoming;     // the mean of the run before the chunk
};

// One block for each line: finishes the open runs of its chunks, calls write(start, mean) for each,
// and sets the incoming mean of each chunk. `runs(c)` are those of chunk c.
template <typename T, typename Runs, typename Write>
__device__ void JoinRuns(int chunks, const Runs& runs, const Write& write) {
  const int tiles = (chunks + kJoinThreads - 1) / kJoinThreads;
  RunSumSince<T> behind_all{{}, -1};
  for (int tile = tiles - 1; tile >= 0; --tile) {
    const int c = tile * kJoinThreads + threadIdx.x;
    const bool inside = c < chunks;
    const RunSumSince<T> mine = inside ? runs(c).sum : RunSumSince<T>{{}, -1};
    const RunSumSince<T> behind =
        ExclusiveScan<kJoinThreads, Direction::kBackward>(mine, &behind_all);
    if (inside && runs(c).open.start >= 0) {
      runs(c).outgoing = runs(c).open.Mean(behind);
      write(runs(c).open.start, runs(c).outgoing);
    }
  }
  Latest<double> carry{0.0, 0};
  for (int tile = 0; tile < tiles; ++tile) {
    const int c = tile * kJoinThreads + threadIdx.x;
    const bool known = c < chunks && (runs(c).open.start >= 0 || runs(c).ends);
    const Latest<double> mine{known ? runs(c).outgoing : 0.0, known};
    const Latest<double> latest = ExclusiveScan<kJoinThreads, Direction::kForward>(mine, &carry);
    if (c < chunks) runs(c).incoming = latest.value;
  }
}

}  // namespace
}  // namespace jaxtv::cuda
