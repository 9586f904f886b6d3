// SPDX-License-Identifier: MIT
// The jumps of the TV prox of a long line, found by all threads and the lanes of each.
//
// The walk of core/tv1d.h after a jump depends on that jump alone. So chunks of the line
// are walked at once, each from a fresh start. Then every walk goes on from the last jump of its
// chunk, again all at once: where it comes to a jump that the walk of the next chunk found too,
// both are the same from there on. That links the chunks, and from left to right all jumps are
// known. On most data links are a few runs long; where one is missing, one thread walks on until
// there is one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

#include "core/run.h"
#include "core/tv1d.h"
#include "cpu/lines/long/marked_line.h"
#include "cpu/lockstep/kernels.h"
#include "cpu/threads/memory.h"
#include "cpu/threads/parallel_for.h"

namespace jaxtv {

// The mean length of the first runs of a line, at most 8 of them in a small part of it.
template <typename T>
int64_t TypicalRun(const MarkedLine<T>& line) {
  const int64_t trial = std::min<int64_t>(line.length / 16, 16384);
  int64_t steps = 0, start = 0, runs = 1;
  Jump<T> left = {0, T(0)};
  for (; runs < 8; ++runs) {
    const RunEnd run = WalkRun(line.x, line.w, trial, start, left, &steps);
    if (run.jump == 0) return run.last / runs + 1;
    left = {run.jump, line.w(run.last)};
    start = run.last + 1;
  }
  return start / runs + 1;
}

// How a line is cut. At least three samples follow the last chunk.
template <typename T>
struct Chunks {
  // What two of the widest vectors hold, which are walked in turn, or one of floats.
  static constexpr int64_t kMostAtOnce = 2 * 64 / sizeof(T), kLeastAtOnce = 16;

  int64_t count, length;
  int64_t at_once;  // chunks that a thread walks at once
  int64_t reach;    // how far walks go on to link them

  // Chunks are many runs long, or walking on would double the work; where the line has not so many,
  // it is one chunk. Threads decide only who walks them.
  static Chunks Of(int64_t n, int64_t run, int64_t threads) {
    const int64_t wanted = std::max(16 * run, std::clamp<int64_t>(n / 256, 1024, 65536));
    const auto fills = [&](int64_t chunks) {
      return n >= std::max<int64_t>(4 * run, 128) * chunks;
    };
    const int64_t unit = fills(kMostAtOnce) ? kMostAtOnce : fills(kLeastAtOnce) ? kLeastAtOnce : 1;
    const int64_t count = unit == 1 ? 1 : std::max(n / wanted / unit, int64_t(1)) * unit;
    const int64_t length = (n - 3) / count;
    const int64_t at_once = count < threads * unit ? std::min(unit, kLeastAtOnce) : unit;
    return {count, length, at_once, std::min(std::max<int64_t>(4 * run, 64), length)};
  }
};

// The end of a chunk, and its link to a later one.
struct ChunkLink {
  int64_t last;   // the place of its last jump, or -1
  int64_t match;  // the place of the first jump after the chunk that the next walk found too, or -1
};

// Walks pieces of a line.
template <typename T>
WalkCount WalkPieces(const LaneKernels<T>* lanes, const ChunkedLine<T>& chunked,
                     const MarkedLine<T>& line, const PieceStart<T>* pieces, int64_t count,
                     int64_t length, uint8_t* marks) {
  if (lanes != nullptr) {
    const Memory scratch = AllocateVectors(lanes->walk_scratch(count, length));
    if (scratch) return lanes->walk(chunked, pieces, count, length, scratch.get(), marks);
  }
  WalkCount walked;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t end = pieces[i].place + length;
    Jump<T> left = pieces[i].left;
    bool done = false;
    int64_t steps = 0, start = 0;
    while (steps - start <= RepeatBudget(length, start)) {
      const RunEnd run = WalkRun(line.x, line.w, end, pieces[i].place + start, left, &steps);
      done = run.jump == 0;
      if (done) break;
      left = {run.jump, line.w(run.last)};
      start = run.last + 1 - pieces[i].place;
      marks[i * length + start - 1] = run.jump < 0 ? kDownMark : kUpMark;
    }
    walked.stopped += !done;
    walked.repeats += steps - start;
  }
  return walked;
}

// The first place at or after `begin` where two rows of marks agree on a jump, or -1.
inline int64_t FirstMatch(const uint8_t* a, const uint8_t* b, int64_t begin, int64_t end) {
  for (; begin < end; ++begin) {
    uint64_t eight[2] = {0, 0};
    if (begin + 8 <= end) {
      std::memcpy(&eight[0], a + begin, 8);
      std::memcpy(&eight[1], b + begin, 8);
      if ((eight[0] & eight[1]) == 0) {
        begin += 7;
        continue;
      }
    }
    if ((a[begin] & b[begin]) != 0) return begin;
  }
  return -1;
}

// Walks on from the ends of chunks [first, last), `reach` samples far, and links them. Returns how
// many samples that looked at again.
template <typename T>
int64_t LinkChunks(const LaneKernels<T>* lanes, const ChunkedLine<T>& chunked,
                   const MarkedLine<T>& line, Chunks<T> chunks, int64_t first, int64_t last,
                   uint8_t* continued, ChunkLink* links) {
  const int64_t reach = chunks.reach;
  PieceStart<T> pieces[Chunks<T>::kMostAtOnce];
  int64_t chunk_of[Chunks<T>::kMostAtOnce], count = 0;
  for (int64_t c = first; c < last; ++c) {
    int64_t k = (c + 1) * chunks.length - 1;
    while (k >= c * chunks.length && line.marks[k] == kNoMark) --k;
    links[c] = {k >= c * chunks.length ? k : -1, -1};
    if (links[c].last < 0 || c == chunks.count - 1) continue;
    pieces[count] = {k + 1, line.JumpAt(k)};
    chunk_of[count++] = c;
  }
  if (count == 0) return 0;
  const int64_t repeats = WalkPieces(lanes, chunked, line, pieces, count, reach, continued).repeats;
  // From the last to the first: where a chunk has no piece, the rows of those behind it move up.
  for (int64_t i = count; i-- > 0;) {
    const int64_t begin = pieces[i].place, c = chunk_of[i];
    const int64_t at = FirstMatch(continued + i * reach, line.marks + begin,
                                  (c + 1) * chunks.length - begin, reach);
    if (at < 0) continue;
    links[c].match = begin + at;
    if (i != c - first) std::memcpy(continued + (c - first) * reach, continued + i * reach, reach);
  }
  return repeats;
}

// Up to where the marks of a line are right, and how many samples were looked at again.
struct MarkedUpTo {
  int64_t place, repeats;
};

// Corrects the marks where chunks meet and goes on to the end of the line, unless the budget of
// steps runs out.
template <typename T>
MarkedUpTo StitchChunks(const MarkedLine<T>& line, Chunks<T> chunks, const uint8_t* continued,
                        const ChunkLink* links) {
  int64_t steps = 0, walked = 0, start = 0, chunk = 0;
  Jump<T> left = {0, T(0)};
  for (;;) {
    const ChunkLink link = links[chunk];
    if (link.match >= 0) {
      std::memcpy(line.marks + link.last + 1, continued + chunk * chunks.reach,
                  link.match - link.last);
      chunk = link.match / chunks.length;
      continue;
    }
    if (link.last >= 0) {
      left = line.JumpAt(link.last);
      start = link.last + 1;
    }
    for (bool known = false; !known;) {
      if (steps - walked > RepeatBudget(line.length / 4, walked)) {
        return {start, steps - walked};
      }
      const RunEnd end = WalkRun(line.x, line.w, line.length, start, left, &steps);
      std::fill(line.marks + start, line.marks + end.last, uint8_t(kNoMark));
      if (end.jump == 0) return {line.length, steps - walked - (line.length - start)};
      const uint8_t mark = end.jump < 0 ? kDownMark : kUpMark;
      known = end.last / chunks.length > chunk && line.marks[end.last] == mark;
      line.marks[end.last] = mark;
      left = line.JumpAt(end.last);
      walked += end.last + 1 - start;
      start = end.last + 1;
    }
    chunk = (start - 1) / chunks.length;
  }
}

// Marks the jumps of a line, all of them unless the budget of steps runs out or there is no memory.
template <typename Pool, typename T>
MarkedUpTo MarkJumps(Pool& pool, const LaneKernels<T>* lanes, const ChunkedLine<T>& chunked,
                     const MarkedLine<T>& line, int64_t run) {
  const auto chunks = Chunks<T>::Of(line.length, run, pool.num_threads());
  if (chunks.count == 1) {
    const ChunkLink none = {-1, -1};
    return StitchChunks(line, chunks, nullptr, &none);
  }
  std::atomic<int64_t> stopped{0}, repeats{0};
  const auto each_block = [&](const auto& body) {
    ParallelFor(pool, chunks.count, chunks.at_once, [&](int64_t first, int64_t last) {
      for (; first < last; first += chunks.at_once) body(first);
    });
  };
  each_block([&](int64_t first) {
    PieceStart<T> pieces[Chunks<T>::kMostAtOnce];
    for (int64_t i = 0; i < chunks.at_once; ++i) {
      pieces[i] = {(first + i) * chunks.length, {0, T(0)}};
    }
    const WalkCount walked = WalkPieces(lanes, chunked, line, pieces, chunks.at_once, chunks.length,
                                        line.marks + first * chunks.length);
    stopped += walked.stopped;
    repeats += walked.repeats;
  });
  if (2 * stopped > chunks.count) return {0, repeats};

  const Memory continued = AllocateZeros(chunks.count * chunks.reach);
  const std::unique_ptr<ChunkLink[]> links(new (std::nothrow) ChunkLink[size_t(chunks.count)]);
  if (!continued || !links) return {0, repeats};
  uint8_t* const rows = static_cast<uint8_t*>(continued.get());
  each_block([&](int64_t first) {
    repeats += LinkChunks(lanes, chunked, line, chunks, first, first + chunks.at_once,
                          rows + first * chunks.reach, links.get());
  });
  const MarkedUpTo marked = StitchChunks(line, chunks, rows, links.get());
  return {marked.place, marked.repeats + repeats};
}

}  // namespace jaxtv
