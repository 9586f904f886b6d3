// SPDX-License-Identifier: MIT
// Walks along a long line: of a run, or of many pieces at once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/run.h"
#include "core/tv1d.h"
#include "cpu/lines/long/marked_line.h"
#include "cpu/lockstep/kernels.h"
#include "cpu/threads/memory.h"

namespace jaxtv {

template <typename T>
struct LineWalker {
  const MarkedLine<T>& line;
  const ChunkedLine<T>& chunked;
  const LaneKernels<T>* pieces;  // walk many pieces at once; null: one after the other
  const LaneKernels<T>* runs;    // walk along long runs; null: core/tv1d.h does
  bool taut;                     // whether a taut string takes over where walks are over budget

  // WalkRun of core/tv1d.h, of samples before `end`.
  RunEnd Walk(int64_t end, int64_t start, Jump<T> left, int64_t* steps) const {
    return runs ? runs->walk_run(chunked, end, start, left, steps)
                : WalkRun(line.x, line.w, end, start, left, steps);
  }

  // Walks pieces of the line: LaneKernels::walk.
  WalkCount WalkPieces(const PieceStart<T>* starts, int64_t count, int64_t length,
                       uint8_t* marks) const {
    if (pieces != nullptr) {
      const Memory scratch = AllocateVectors(pieces->walk_scratch(count, length));
      if (scratch) return pieces->walk(chunked, starts, count, length, scratch.get(), marks);
    }
    WalkCount walked;
    for (int64_t i = 0; i < count; ++i) WalkPiece(starts[i], length, marks + i * length, &walked);
    return walked;
  }

 private:
  void WalkPiece(PieceStart<T> piece, int64_t length, uint8_t* marks, WalkCount* walked) const {
    Jump<T> left = piece.left;
    bool done = false;
    int64_t steps = 0, start = 0;
    while (steps - start <= PieceBudget(length, start)) {
      const RunEnd run = Walk(piece.place + length, piece.place + start, left, &steps);
      done = run.jump == 0;
      if (done) break;
      left = {run.jump, line.w(run.last)};
      start = run.last + 1 - piece.place;
      marks[start - 1] = run.jump < 0 ? kDownMark : kUpMark;
    }
    walked->stopped += !done;
    walked->repeats += steps - start;
  }
};

}  // namespace jaxtv
