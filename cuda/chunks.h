// SPDX-License-Identifier: MIT
// Long lines in chunks of a block each, and what the chunks tell each other between passes.
//
// A pass of all blocks is up to three launches: of each chunk alone, its part of a scan; a scan
// over the chunks of each line; each chunk once more, with what comes before it. Kernels wait for
// one another by the order of the stream alone.
#pragma once

#include "core/line.h"
#include "cuda/division.h"
#include "cuda/scan.h"
#include "cuda/wide_sum.h"

namespace jaxtv::cuda {
namespace {

constexpr int kChunkThreads = 256;
constexpr int kChunkBlocks = 2;    // on a multiprocessor
constexpr int kJoinThreads = 512;  // bounds name 1 block: else nvcc saves registers by spilling
constexpr int kLeastTiles = 2;     // of a chunk
constexpr int kMostChunks = 1024;  // of a line

// How the lines of an array are cut.
struct Chunks {
  Lines lines;
  int64_t length;  // of a chunk; the last one of a line may be shorter
  int per_line;

  explicit Chunks(const Lines& all) : lines(all) {
    constexpr int64_t kMostTiles = int64_t(kMostChunks) * kChunkThreads;
    const int64_t tiles = (all.length + kMostTiles - 1) / kMostTiles;
    length = kChunkThreads * (tiles > kLeastTiles ? tiles : kLeastTiles);
    per_line = int((all.length + length - 1) / length);
  }

  int64_t count() const { return lines.count() * per_line; }

  // Of the block of a chunk.
  __device__ int64_t OwnLine() const { return blockIdx.x / per_line; }
  __device__ int OwnIndex() const { return int(blockIdx.x % per_line); }
  __device__ Stretch Own() const {
    const int64_t begin = OwnIndex() * length;
    return {begin, begin + length < lines.length ? begin + length : lines.length};
  }
};

// What a chunk knows of its runs.
template <typename T>
struct RunsOfChunk {
  RunSumSince<T> sum;  // from the right end of the chunk
  OpenRun<T> open;     // that goes on behind the chunk
  int ends;            // a run that starts in the chunk ends with it, and so none is open
  double outgoing;     // then, its mean
  double incoming;     // the mean of the run before the chunk
};

// By the block of a line: finishes the open runs of all its chunks, calls write(start, mean) for
// each, and lets each chunk know the mean of the run before it. `runs(c)` are those of chunk c.
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
