// SPDX-License-Identifier: MIT
// The TV prox of a long line, shared by all threads and the lanes of each: the extent of its
// samples, then its jumps (jumps.h), then the values of its runs (run_values.h).
//
// Chunks depend on the line alone, not on the number of threads or lanes, and so do results: they
// are those of ProxLine, but where it takes rounding to decide between two jumps (long_run.h; a
// taut string that takes over elsewhere), and the last bit of a value over more than kSumPart
// samples. Without lock-step kernels (`lanes` null) scalar code walks the same chunks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

#include "core/run.h"
#include "core/tv1d.h"
#include "cpu/lines/long/jumps.h"
#include "cpu/lines/long/marked_line.h"
#include "cpu/lines/long/run_values.h"
#include "cpu/lines/prox_lines.h"
#include "cpu/lines/taut_string.h"
#include "cpu/lockstep/kernels.h"
#include "cpu/lockstep/this_processor.h"
#include "cpu/threads/memory.h"
#include "cpu/threads/parallel_for.h"

namespace jaxtv {

// Samples per block of a search for the extent.
constexpr int64_t kExtentBlock = 65536;

// Where runs are longer than this, their values are not computed in lanes: too many runs would meet
// the ends of chunks.
constexpr int64_t kLongRun = 100;

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
  ParallelFor(pool, n, kExtentBlock, [&](int64_t first, int64_t last) {
    const Extent<T> part = (lanes ? lanes->extent : ScalarExtent<T>)(x + first, last - first);
    const std::lock_guard<std::mutex> lock(mutex);
    all.lo = std::min(all.lo, part.lo);
    all.hi = std::max(all.hi, part.hi);
    all.finite = all.finite && part.finite;
    all.ordered = all.ordered && part.ordered;
  });
  return all;
}

// The prox of one line; samples and edge weights contiguous. Of a line that is not long the bits
// are those of ProxLine: its walk repeats nothing but what the chunks repeat, so if all of that is
// within its budget, it is too. Else the line is taken again as a whole.
template <typename Pool, typename T>
void ProxLongLine(Pool& pool, const LaneKernels<T>* lanes, const T* x, Line<const T> lam, int64_t n,
                  T* y) {
  const bool per_edge = lam.stride != 0;
  const Extent<T> samples = ExtentOf(pool, lanes, x, n);
  const Extent<T> weights = ExtentOf(pool, lanes, lam.data, per_edge ? n - 1 : 1);
  const Memory marks = AllocateZeros(n);
  const bool valid = samples.finite && weights.ordered && weights.lo >= T(0);
  const LineSummary<T> summary = {valid, weights.hi > T(0), samples.lo, samples.hi};
  const auto whole = [&] { ProxLine<T>({x, 1}, lam, n, {y, 1}, TautRest{}); };
  if (!NeedsSolving(summary) || UnitOf(samples.lo, samples.hi) != T(1) || !marks) return whole();
  const T range = samples.hi - samples.lo;
  const MarkedLine<T> line = {
      {x, 1}, EdgeWeights<T>(lam, per_edge, n, range), n, static_cast<uint8_t*>(marks.get())};
  const ChunkedLine<T> chunked = {
      x, per_edge ? lam.data : nullptr, per_edge ? line.w.cap : line.w(0), range, n, line.marks, y};
  const RunSize run = TypicalRun(line);
  LineWalker<T> walker = {line, chunked, lanes, nullptr, n > kLongLine};
  if (run.LongIn(n)) {
    walker.pieces = nullptr;
    walker.runs = lanes ? lanes : NearLanes<T>();
  }
  const MarkedUpTo marked = MarkJumps(pool, walker, run);
  const bool given_up = n <= kLongLine && marked.repeats > RepeatBudget(n, 0);
  if (marked.place < n || given_up) return whole();
  if (lanes && line.CountJumps() > n / kLongRun) {
    WriteRunsInLanes(pool, *lanes, line, chunked);
  } else {
    WriteRunsInBlocks(pool, line, Line<T>{y, 1});
  }
}

// The prox of lines [begin, end) of an array, which are long.
template <typename Pool, typename T>
void ProxLongLines(Pool& pool, const Lines& lines, const WeightLayout& weights, const T* x,
                   const T* lam, T* y, int64_t begin, int64_t end) {
  const int64_t n = lines.length;
  const bool copy_x = lines.inner != 1, copy_lam = weights.edge_stride > 1;
  const Memory memory = Allocate(n * (2 * copy_x + copy_lam) * int64_t(sizeof(T)));
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
