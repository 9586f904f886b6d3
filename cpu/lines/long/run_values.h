// SPDX-License-Identifier: MIT
// The values of the runs of a long line whose jumps are known (core/run.h), on all threads.
//
// A value depends on the run before only where rounding closed or inverted their jump, and then the
// two tie. So all parts of the line are written at once, as if each were a line; then the runs at
// the borders of parts are written again, and those after them until a value stays as it was.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "core/run.h"
#include "cpu/lines/long/marked_line.h"
#include "cpu/lines/long/run_sums.h"
#include "cpu/lockstep/kernels.h"
#include "cpu/threads/memory.h"
#include "cpu/threads/parallel_for.h"

namespace jaxtv {

// Samples of a part in one lane, at most, and of a part that scalar code writes.
constexpr int64_t kValueChunk = 4096;
constexpr int64_t kValueBlock = 16384;

// Writes the values of the runs from `begin` on, up to the run that contains `until`. If y is
// `known` but for the borders of parts, up to the first one from there on whose value stays as it
// was; with a border every `part` samples in whose run none may stop, as the run behind does not
// know its value. Returns where the next run starts.
template <typename T>
int64_t WriteRuns(const MarkedLine<T>& line, int64_t begin, int64_t until, bool known, Line<T> y,
                  int64_t part = INT64_MAX) {
  const bool first = begin == 0;
  RunWriter<T> writer(line.x, y, first ? Jump<T>{0, T(0)} : line.JumpAt(begin - 1),
                      first ? T(0) : y[begin - 1]);
  for (bool done = false; !done && begin < line.length;) {
    const int64_t last = line.EndOfRun(begin);
    const T before = known ? y[last] : T(0);
    writer.Write(begin, last, line.JumpAt(last), SumOfRun(line.x, begin, last));
    const bool border = begin == 0 || (begin - 1) / part != last / part;
    done = last >= until && (!known || (before == y[last] && !border));
    begin = last + 1;
  }
  return begin;
}

// Writes the values of all runs, one part of the line in each lane.
template <typename Pool, typename T>
void WriteRunsInLanes(Pool& pool, const LaneKernels<T>& lanes, const MarkedLine<T>& line,
                      const ChunkedLine<T>& chunked) {
  const Line<T> y{chunked.y, 1};
  const int64_t blocks = line.length / (lanes.lanes * kValueChunk) + 1;  // of equal size
  const int64_t chunk = (line.length - 1) / (lanes.lanes * blocks), block = lanes.lanes * chunk;
  std::atomic<bool> ok{true};
  ParallelFor(pool, blocks, 1, [&](int64_t first, int64_t last) {
    const Memory scratch = AllocateVectors(3 * block * int64_t(sizeof(T)));
    if (!scratch) ok = false;
    for (int64_t b = first; b < last && scratch; ++b) {
      lanes.chunk_values(chunked, b * block, chunk, scratch.get());
    }
  });
  int64_t next = 0;
  for (int64_t border = 0; ok && border <= blocks * block; border += chunk) {
    if (border < next) continue;
    int64_t begin = border;
    while (begin > next && line.marks[begin - 1] == kNoMark) --begin;
    next = WriteRuns(line, begin, border, true, y, chunk);
  }
  WriteRuns(line, next, line.length, false, y);
}

// The start of the first run at or after sample k, or the length.
template <typename T>
int64_t RunStart(const MarkedLine<T>& line, int64_t k) {
  return k == 0 ? 0 : line.EndOfRun(k - 1) + 1;
}

// Writes the values of all runs; one thread writes those that start in a part.
template <typename Pool, typename T>
void WriteRunsInBlocks(Pool& pool, const MarkedLine<T>& line, Line<T> y) {
  const int64_t n = line.length, blocks = (n + kValueBlock - 1) / kValueBlock;
  ParallelFor(pool, blocks, 1, [&](int64_t first, int64_t last) {
    const int64_t end = std::min(n, last * kValueBlock);
    int64_t begin = RunStart(line, first * kValueBlock);
    if (begin >= end) return;
    // The value before is not known yet: one that ties with none.
    const Jump<T> left = begin == 0 ? Jump<T>{0, T(0)} : line.JumpAt(begin - 1);
    RunWriter<T> writer(line.x, y, left, -T(left.sign) * std::numeric_limits<T>::infinity());
    while (begin < end) {
      Stretch runs[kMostStretches];
      int64_t ends[kMostStretches];
      LongSum<T> sums[kMostStretches];
      int count = 0;
      for (; begin < end && count < kMostStretches; ++count) {
        const int64_t last = line.EndOfRun(begin);
        runs[count] = {begin, InParts(begin, last) ? begin : last, begin};
        ends[count] = last;
        begin = last + 1;
      }
      SumStretches(line.x, runs, count, sums);
      for (int i = 0; i < count; ++i) {
        const int64_t from = runs[i].first, to = ends[i];
        const double sum = InParts(from, to) ? SumOfRun(line.x, from, to) : sums[i].Total();
        writer.Write(from, to, line.JumpAt(to), sum);
      }
    }
  });
  int64_t next = 0;
  for (int64_t b = 1; b < blocks; ++b) {
    // A run over several blocks is passed once.
    const int64_t begin = b * kValueBlock < next ? next : RunStart(line, b * kValueBlock);
    const bool inverted = begin < n && line.JumpAt(begin - 1).sign * (y[begin] - y[begin - 1]) < 0;
    next = inverted ? WriteRuns(line, begin, begin, true, y) : begin;
  }
}

}  // namespace jaxtv
