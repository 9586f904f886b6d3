// SPDX-License-Identifier: MIT
// Lock-step kernels: many lines at once, one per vector lane. They exist once for each instruction
// set, from the one source tv1d_lanes.cc, and compute bit for bit what core/ computes.
#pragma once

#include <cstdint>

namespace jaxtv {

// Lines of one length, each with its own pointers, and one stride for all.
template <typename T>
struct LineBatch {
  int64_t count;
  int64_t length;
  int64_t stride;
  int64_t edge_stride;  // of the weights, 0 for one per line
  const T* const* x;
  const T* const* lam;
  T* const* y;
};

// At most as many lines as there are lanes, of one length of at least two, whose prox is y.
template <typename T>
struct PullBackBatch {
  static constexpr int kMostLanes = 64 / sizeof(T);

  int64_t length;
  int64_t stride;       // of all but lam
  int64_t edge_stride;  // of lam, 0 for one per line
  int count = 0;
  const T* y[kMostLanes];
  const T* lam[kMostLanes];  // null for the run mean alone
  const T* v[kMostLanes];
  T* x_bar[kMostLanes];
  T* lam_bar[kMostLanes];
};

// Where the walk along a line stopped: the runs before `start` are written, and `jump` is the sign
// of the jump there. `start` is the length where the whole line is, or one of the two below.
struct WalkEnd {
  int64_t start;
  int jump;
};
constexpr int64_t kKeepLine = -1;  // the prox is the line itself
constexpr int64_t kBadLine = -2;   // there is none

// Marks at the last sample of a run: the jump after it.
enum Mark : uint8_t { kNoMark = 0, kDownMark = 1, kUpMark = 2 };

// One contiguous line taken in chunks, each as if it were a line.
template <typename T>
struct ChunkedLine {
  const T* x;
  const T* lam;  // a weight for each edge, or null
  T cap;         // of the weights; without edge weights, the weight
  uint8_t* marks;
  T* y;
};

// What there is among some numbers.
template <typename T>
struct Extent {
  T lo, hi;
  bool finite, ordered;  // no infinity nor NaN; no NaN
};

template <typename T>
struct LaneKernels {
  // How many lines of a length are best taken at once, and bytes of scratch memory for as many.
  int64_t (*batch)(int64_t length);
  int64_t (*scratch)(int64_t lines, int64_t length, bool edges);
  // The prox of lines of at least two samples. Those that did not end are left to the caller.
  void (*prox)(const LineBatch<T>& batch, void* scratch, WalkEnd* ends);
  // The derivative pulled back, with scratch memory of three samples for each of the line's, in
  // each lane.
  void (*pull_back)(const PullBackBatch<T>& lines, void* scratch);

  // Walks the chunks of this size from the one that starts at `first`, each from a fresh start to
  // its end, and marks the jumps. At least two samples must follow the last chunk.
  void (*walk_chunks)(const ChunkedLine<T>& line, int64_t first, int64_t chunks, int64_t chunk,
                      void* scratch);
  int64_t (*walk_scratch)(int64_t chunks, int64_t chunk);
  // Writes the values of the marked runs of as many chunks as there are lanes, the first and the
  // last run of a chunk as if the line ended there.
  void (*chunk_values)(const ChunkedLine<T>& line, int64_t first, int64_t chunk, void* scratch);
  int64_t lanes;
  Extent<T> (*extent)(const T* x, int64_t length);
};

// Those of one instruction set.
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
