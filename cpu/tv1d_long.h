// SPDX-License-Identifier: MIT
// The TV prox of a long line, shared by all threads and the lanes of each.
//
// Prox: what the walk of core/tv1d.h finds after a jump depends on that jump alone. So chunks of
// the line are walked at once, each from a fresh start. Then, from left to right, the walk that is
// right so far goes on from the last jump of its chunk until one of its jumps is also a jump of the
// walk of a later chunk: from there on that walk is right too. On most data this takes a few runs;
// at worst one thread walks the whole line again. At last the values, run by run (core/run.h).
//
// Chunks depend on nothing but the length, and so do results: they are those of ProxLine, but for a
// line over budget, which may go to tv1d_divide.h from another jump on. Without lock-step kernels
// (`lanes` null) the same is done one chunk after the other.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>

#include "core/run.h"
#include "core/tv1d.h"
#include "cpu/parallel.h"
#include "cpu/tv1d_lines.h"
#include "cpu/tv1d_stitch.h"
#include "cpu/tv1d_taut.h"

namespace jaxtv {

// Samples that a thread looks at at once.
constexpr int64_t kPiece = 65536;

// The values of longer runs than this are not computed in lanes: too many runs would meet the ends
// of chunks.
constexpr int64_t kLongRun = 100;

// Samples of a chunk of which only the values are computed, in a lane and in scalar code.
constexpr int64_t kValueChunk = 4096;
constexpr int64_t kValueBlock = 16384;

// Writes the values of the runs from `begin` until one contains `until` and, if `known`, that one
// or a later one had its value already. Returns where the next run starts.
template <typename T>
int64_t WriteRuns(const MarkedLine<T>& line, int64_t begin, int64_t until, bool known, Line<T> y) {
  const bool first = begin == 0;
  RunWriter<T> writer(line.x, y, first ? Jump<T>{0, T(0)} : line.JumpAt(begin - 1),
                      first ? T(0) : y[begin - 1]);
  for (bool done = false; !done && begin < line.length;) {
    int64_t last = begin;
    while (last < line.length - 1 && line.marks[last] == kNoMark) ++last;
    const T before = known ? y[last] : T(0);
    writer.Write(begin, last, line.JumpAt(last));
    done = last >= until && (!known || before == y[last]);
    begin = last + 1;
  }
  return begin;
}

// The values of all runs, one chunk of the line in each lane, and then again of the runs that meet
// the ends of chunks, and of those after them until there is no difference.
template <typename Pool, typename T>
void WriteRunsInLanes(Pool& pool, const LaneKernels<T>& lanes, const MarkedLine<T>& line,
                      const ChunkedLine<T>& chunked) {
  const Line<T> y{chunked.y, 1};
  const int64_t chunk = std::min((line.length - 1) / lanes.lanes, kValueChunk);
  const int64_t block = lanes.lanes * chunk, blocks = (line.length - 1) / block;
  std::atomic<bool> ok{true};
  ParallelFor(pool, blocks, 2, [&](int64_t first, int64_t last) {
    const Memory scratch = AllocateVectors(3 * block * int64_t(sizeof(T)));
    if (!scratch) ok = false;
    for (int64_t b = first; b < last && scratch; ++b) {
      lanes.chunk_values(chunked, b * block, chunk, scratch.get());
    }
  });
  int64_t next = 0;
  for (int64_t border = chunk; ok && border <= blocks * block; border += chunk) {
    if (border < next) continue;
    int64_t begin = border;
    while (begin > next && line.marks[begin - 1] == kNoMark) --begin;
    next = WriteRuns(line, begin, border, true, y);
  }
  WriteRuns(line, next, line.length, false, y);
}

// The start of the first run at or after sample k, or the length.
template <typename T>
int64_t RunStart(const MarkedLine<T>& line, int64_t k) {
  if (k == 0) return 0;
  while (k < line.length && line.marks[k - 1] == kNoMark) ++k;
  return k;
}

// The values of all runs, those that start in a block by one thread.
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
      const int64_t next = RunStart(line, begin + 1);
      writer.Write(begin, next - 1, next < n ? line.JumpAt(next - 1) : Jump<T>{0, T(0)});
      begin = next;
    }
  });
  for (int64_t b = 1; b < blocks; ++b) {
    const int64_t begin = RunStart(line, b * kValueBlock);
    if (begin < n) WriteRuns(line, begin, begin, true, y);
  }
}

template <typename T>
Extent<T> ScalarExtent(const T* x, int64_t n) {
  Extent<T> e = {x[0], x[0], true, true};
  for (int64_t k = 0; k < n; ++k) {
    e.lo = x[k] < e.lo ? x[k] : e.lo;
    e.hi = x[k] > e.hi ? x[k] : e.hi;
    e.finite = e.finite && IsFinite(x[k]);
    e.ordered = e.ordered && x[k] == x[k];
  }
  return e;
}

// The extent of a line, on all threads.
template <typename Pool, typename T>
Extent<T> ExtentOf(Pool& pool, const LaneKernels<T>* lanes, const T* x, int64_t n) {
  std::mutex mutex;
  Extent<T> all = {x[0], x[0], true, true};
  ParallelFor(pool, n, kPiece, [&](int64_t first, int64_t last) {
    const Extent<T> part = (lanes ? lanes->extent : ScalarExtent<T>)(x + first, last - first);
    const std::lock_guard<std::mutex> lock(mutex);
    all.lo = std::min(all.lo, part.lo);
    all.hi = std::max(all.hi, part.hi);
    all.finite = all.finite && part.finite;
    all.ordered = all.ordered && part.ordered;
  });
  return all;
}

// Marks the jumps of a line from `start` on, where its marks are right before. False where there is
// no memory.
template <typename T>
bool TautJumps(const MarkedLine<T>& line, int64_t start) {
  std::fill(line.marks + start, line.marks + line.length, uint8_t(kNoMark));
  const Jump<T> left = start > 0 ? line.JumpAt(start - 1) : Jump<T>{0, T(0)};
  return TautString<T>().Run(line.x, line.w, start, line.length, left, [&](int64_t k, int sign) {
    line.marks[k] = sign < 0 ? kDownMark : kUpMark;
  });
}

// The prox of one line; samples and edge weights contiguous.
template <typename Pool, typename T>
void ProxLongLine(Pool& pool, const LaneKernels<T>* lanes, const T* x, Line<const T> lam, int64_t n,
                  T* y) {
  const bool per_edge = lam.stride != 0;
  const Extent<T> samples = ExtentOf(pool, lanes, x, n);
  const Extent<T> weights = ExtentOf(pool, lanes, lam.data, per_edge ? n - 1 : 1);
  const Memory marks(std::calloc(size_t(n), 1), std::free);
  if (!samples.finite || !weights.ordered || !(weights.lo >= T(0)) || !(weights.hi > T(0)) ||
      samples.lo == samples.hi || UnitOf(samples.lo, samples.hi) != T(1) || !marks) {
    ProxLine<T>({x, 1}, lam, n, {y, 1}, TautRest{});
    return;
  }
  const T range = samples.hi - samples.lo;
  const MarkedLine<T> line = {
      {x, 1}, EdgeWeights<T>(lam, per_edge, n, range), n, static_cast<uint8_t*>(marks.get())};
  const ChunkedLine<T> chunked = {
      x, per_edge ? lam.data : nullptr, per_edge ? line.w.cap : line.w(0), range, line.marks, y};
  const int64_t run = TypicalRun(line), known = MarkJumps(pool, lanes, chunked, line, run);
  if (known < n && !TautJumps(line, known)) {
    ProxLine<T>({x, 1}, lam, n, {y, 1});
    return;
  }
  if (lanes && run < kLongRun) {
    WriteRunsInLanes(pool, *lanes, line, chunked);
  } else {
    WriteRunsInBlocks(pool, line, Line<T>{y, 1});
  }
}

// A pool without threads.
struct ThisThread {
  int num_threads() const { return 1; }
  template <typename Task>
  void Schedule(const Task&) const {}
};

// The prox of lines [begin, end) of an array, which are long.
template <typename Pool, typename T>
void ProxLongLines(Pool& pool, const Lines& lines, const WeightLayout& weights, const T* x,
                   const T* lam, T* y, int64_t begin, int64_t end) {
  const int64_t n = lines.length;
  const bool copy_x = lines.inner != 1, copy_lam = weights.edge_stride > 1;
  const Memory memory(std::malloc(size_t(n) * (2 * copy_x + copy_lam + 1) * sizeof(T)), std::free);
  T* const samples = static_cast<T*>(memory.get());
  T* const values = samples + n;
  T* const edges = samples + (copy_x ? 2 : 0) * n;
  for (int64_t l = begin; l < end; ++l) {
    const Line<const T> from = lines.At(x, l);
    const Line<T> to = lines.At(y, l);
    Line<const T> w = weights.At(lam, l);
    if (!memory) {
      ProxLine(from, w, n, to);
      continue;
    }
    for (int64_t k = 0; copy_x && k < n; ++k) samples[k] = from[k];
    for (int64_t k = 0; copy_lam && k < n - 1; ++k) edges[k] = w[k];
    if (copy_lam) w = {edges, 1};
    ProxLongLine(pool, Lanes<T>(), copy_x ? samples : from.data, w, n, copy_x ? values : to.data);
    for (int64_t k = 0; copy_x && k < n; ++k) to[k] = values[k];
  }
}

}  // namespace jaxtv
