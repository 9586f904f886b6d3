// SPDX-License-Identifier: MIT
// Lock-step kernels: many lines at once, one per vector lane. They are compiled from kernels.cc for
// each instruction set, and all give the results of core/, bit for bit.
#pragma once

#include <cstdint>

#include "core/run.h"
#include "core/tv1d.h"

namespace jaxtv {

// Marks the jumps of samples start..n-1 of a line behind the jump `left`; one weight or,
// `per_edge`, one for each edge; marks lie `stride` apart. False where there is no memory.
template <typename T>
using FinishLine = bool (*)(const T* x, const T* lam, bool per_edge, int64_t start, int64_t n,
                            Jump<T> left, uint8_t* marks, int64_t stride);

// Lines of one length, each with its own pointers, and one stride for all.
template <typename T>
struct LineBatch {
  int64_t count;
  int64_t length;
  int64_t stride;
  int64_t edge_stride;  // the stride of the weights, 0 for one per line
  const T* const* x;
  const T* const* lam;
  T* const* y;
  FinishLine<T> finish;  // for the rest of lines whose walk is over budget
};

// At most as many lines as there are lanes, of one length of at least two, whose prox is y.
template <typename T>
struct PullBackBatch {
  static constexpr int kMostLanes = 64 / sizeof(T);

  int64_t length;
  int64_t stride;       // the stride of all but lam
  int64_t edge_stride;  // the stride of lam, 0 for one per line
  int count = 0;
  const T* y[kMostLanes] = {};
  const T* lam[kMostLanes] = {};  // null for the run mean alone
  const T* v[kMostLanes] = {};
  T* x_bar[kMostLanes] = {};
  T* lam_bar[kMostLanes] = {};
};

// Marks at the last sample of a run: the jump after it.
enum Mark : uint8_t { kNoMark = 0, kDownMark = 1, kUpMark = 2 };

// One contiguous line taken in chunks, each as if it were a line.
template <typename T>
struct ChunkedLine {
  const T* x;
  const T* lam;  // a weight for each edge, or null
  T cap;         // the cap of edge weights; without them, the weight
  T range;       // the greatest sample less the least
  int64_t length;
  const uint8_t* marks;
  T* y;
};

// Where the walk of a piece of a line starts: at a run, after the jump `left`.
template <typename T>
struct PieceStart {
  int64_t place;
  Jump<T> left;
};

// RepeatBudget for a piece of a line. Other pieces show as well whether the line is slow at first
// only, so it is less.
JAXTV_ALWAYS_INLINE constexpr int64_t PieceBudget(int64_t length, int64_t start) {
  return RepeatBudget(length / 8, start);
}

// How many walks of pieces of a line went over budget, and how many samples all of them looked at
// again.
struct WalkCount {
  int64_t stopped = 0, repeats = 0;
};

// The least and the greatest of some numbers.
template <typename T>
struct Extent {
  T lo, hi;
  bool finite, ordered;  // none is infinite or NaN; none is NaN
};

template <typename T>
struct LaneKernels {
  // The number of lines of a length that `prox` takes best at once, and the bytes of scratch memory
  // that it needs for a number of lines.
  int64_t (*batch)(int64_t length);
  int64_t (*scratch)(int64_t lines, int64_t length, bool edges);
  // The prox of lines of at least two samples. Lines that need no solving, or another unit for it,
  // are left to the caller, and those that `finish` could not: where not `solved`, y is undefined.
  void (*prox)(const LineBatch<T>& batch, void* scratch, bool* solved);
  // The same where y holds the prox of lines near to these, which saves time. Where two jumps tie
  // but for rounding, it may keep the other one.
  void (*prox_near)(const LineBatch<T>& batch, void* scratch, bool* solved);
  int64_t (*near_scratch)(int64_t length, bool edges);
  // The derivative pulled back, but x_bar of a line whose only weight is 0 is the mean too, not v.
  // Scratch memory: three samples for each sample of a line, in each lane.
  void (*pull_back)(const PullBackBatch<T>& lines, void* scratch);

  // Walks pieces of this length, in increasing order, and marks the jumps of piece i from
  // marks[i * length] on. At least three samples must follow the last piece.
  WalkCount (*walk)(const ChunkedLine<T>& line, const PieceStart<T>* pieces, int64_t count,
                    int64_t length, void* scratch, uint8_t* marks);
  // The bytes of scratch memory that `walk` needs.
  int64_t (*walk_scratch)(int64_t count, int64_t length);
  // WalkRun of core/tv1d.h, which it beats where runs are long: it adds to `steps` how many of
  // those would have taken its time. Where two jumps tie but for rounding, it may take the other
  // one.
  RunEnd (*walk_run)(const ChunkedLine<T>& line, int64_t end, int64_t start, Jump<T> left,
                     int64_t* steps);
  // Writes the values of the marked runs of as many chunks as there are lanes, the first and the
  // last run of a chunk as if the line ended there.
  void (*chunk_values)(const ChunkedLine<T>& line, int64_t first, int64_t chunk, void* scratch);
  int64_t lanes;
  Extent<T> (*extent)(const T* x, int64_t length);
};

// The kernels of one instruction set.
struct LaneSet {
  LaneKernels<float> f32;
  LaneKernels<double> f64;
};

namespace portable {
const LaneSet& Kernels();
}
namespace avx2 {
const LaneSet& Kernels();
}
namespace avx512 {
const LaneSet& Kernels();
}

}  // namespace jaxtv
