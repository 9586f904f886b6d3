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
#include "cpu/lines/long/walker.h"
#include "cpu/lines/prox_lines.h"
#include "cpu/lines/taut_string.h"
#include "cpu/lockstep/kernels.h"
#include "cpu/threads/memory.h"
#include "cpu/threads/parallel_for.h"

namespace jaxtv {

// The mean length of some runs, and the mean number of samples at which a walk looks for one.
struct RunSize {
  int64_t samples, looks;

  // Whether a line of n is to be walked with lanes along its runs, not with a walk in each lane,
  // which takes more time then. Not a shorter line, whose ties are to be those of a batch, nor one
  // whose places are no Int<float>.
  bool LongIn(int64_t n) const {
    return n > kLongLine && n <= INT32_MAX && (looks >= 400 || n < 128 * looks);
  }
};

// Of some runs in each of four small parts of a line, the shortest but one. Where parts differ, the
// rule for short runs is the better one: walks in lanes take a few times as long on long runs,
// walks along runs ten times as long on short ones.
template <typename T>
RunSize TypicalRun(const MarkedLine<T>& line) {
  constexpr int kParts = 4, kMostRuns = 4;
  const int64_t trial = std::min<int64_t>(line.length / (8 * kParts), 4096);
  RunSize sizes[kParts];
  for (int i = 0; i < kParts; ++i) {
    const int64_t begin = i * (line.length / kParts), end = begin + trial;
    int64_t steps = 0, start = begin, runs = 0;
    Jump<T> left = {0, T(0)};
    for (; runs < kMostRuns && start < end; ++runs) {
      const RunEnd run = WalkRun(line.x, line.w, end, start, left, &steps);
      if (run.jump == 0) steps += end - start;
      left = {run.jump, line.w(run.last)};
      start = run.last + 1;
    }
    sizes[i] = {(start - begin) / runs + 1, steps / runs + 1};
  }
  std::sort(sizes, sizes + kParts, [](RunSize a, RunSize b) { return a.looks < b.looks; });
  return sizes[1];
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
  static Chunks Of(int64_t n, RunSize size, int64_t threads) {
    const int64_t run = size.samples;
    if (size.LongIn(n)) {
      const int64_t count = std::max<int64_t>(1, n / std::max<int64_t>(128 * size.looks, 32768));
      const int64_t length = (n - 3) / count;
      return {count, length, 1, std::min(4 * run, length)};
    }
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
int64_t LinkChunks(const LineWalker<T>& walker, Chunks<T> chunks, int64_t first, int64_t last,
                   uint8_t* continued, ChunkLink* links) {
  const MarkedLine<T>& line = walker.line;
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
  const int64_t repeats = walker.WalkPieces(pieces, count, reach, continued).repeats;
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

// Corrects the marks where chunks meet and goes on to the end of the line.
template <typename T>
class Stitcher {
 public:
  Stitcher(const LineWalker<T>& walker, Chunks<T> chunks, const uint8_t* continued,
           const ChunkLink* links)
      : walker_(walker),
        line_(walker.line),
        chunks_(chunks),
        continued_(continued),
        links_(links) {}

  // `steps`: how many are spent of the budget.
  MarkedUpTo Run(int64_t steps) {
    steps_ = steps;
    while (start_ < line_.length) {
      const ChunkLink link = links_[chunk_];
      if (link.match >= 0) {
        std::memcpy(line_.marks + link.last + 1, continued_ + chunk_ * chunks_.reach,
                    link.match - link.last);
        chunk_ = link.match / chunks_.length;
        continue;
      }
      if (link.last >= 0) start_ = link.last + 1;
      if (!GoOn()) break;
      chunk_ = (start_ - 1) / chunks_.length;
    }
    return {start_, steps_ - walked_};
  }

 private:
  // Up to a jump that a later chunk found too, or the end of the line. False where that is not
  // possible.
  bool GoOn() {
    const int64_t next = (chunk_ + 1) * chunks_.length;
    for (bool known = false; !known && start_ < line_.length;) {
      if (steps_ - walked_ > PieceBudget(line_.length, walked_)) {
        return walker_.taut && FollowTaut();
      }
      const RunEnd end = walker_.Walk(line_.length, start_, Left(), &steps_);
      if (end.jump == 0) {
        End();
      } else {
        known = Mark(start_, end.last, end.jump) && end.last >= next;
        walked_ += end.last + 1 - start_;
        start_ = end.last + 1;
      }
    }
    return true;
  }

  // The same by a taut string. It is worth leaving only for a chunk that is linked, as the one
  // before is not. The walk that follows is still over budget.
  bool FollowTaut() {
    const int64_t begin = start_;
    int64_t start = start_;
    bool known = false;
    const bool ok = FollowTautString(
        line_.x, line_.w, start_, line_.length, Left(), [&](int64_t last, int sign) {
          known = Mark(start, last, sign) && links_[last / chunks_.length].match >= 0;
          start = last + 1;
          return !known;
        });
    start_ = start;
    if (ok && !known) End();
    walked_ += start_ - begin;
    steps_ += (1 + kRepeats) * (start_ - begin);
    return ok;
  }

  Jump<T> Left() const { return start_ > 0 ? line_.JumpAt(start_ - 1) : Jump<T>{0, T(0)}; }

  // Marks the end of a run. Returns whether it was marked.
  bool Mark(int64_t first, int64_t last, int sign) const {
    uint8_t* const marks = line_.marks;
    const uint8_t mark = sign < 0 ? kDownMark : kUpMark;
    const bool marked = marks[last] == mark;
    if (first < last) std::memset(marks + first, kNoMark, size_t(last - first));
    marks[last] = mark;
    return marked;
  }

  // Ends the last run.
  void End() {
    std::fill(line_.marks + start_, line_.marks + line_.length, uint8_t(kNoMark));
    start_ = line_.length;
  }

  const LineWalker<T>& walker_;
  const MarkedLine<T>& line_;
  const Chunks<T> chunks_;
  const uint8_t* const continued_;
  const ChunkLink* const links_;
  int64_t steps_ = 0, walked_ = 0;
  int64_t start_ = 0, chunk_ = 0;  // of the next run; the last one that is not linked
};

// Marks the jumps of a line, all of them unless there is no memory or, without a taut string, the
// budget of steps runs out.
template <typename Pool, typename T>
MarkedUpTo MarkJumps(Pool& pool, const LineWalker<T>& walker, RunSize run) {
  const MarkedLine<T>& line = walker.line;
  const auto chunks = Chunks<T>::Of(line.length, run, pool.num_threads());
  if (chunks.count == 1) {
    const ChunkLink none = {-1, -1};
    return Stitcher<T>(walker, chunks, nullptr, &none).Run(0);
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
    const WalkCount walked = walker.WalkPieces(pieces, chunks.at_once, chunks.length,
                                               line.marks + first * chunks.length);
    stopped += walked.stopped;
    repeats += walked.repeats;
  });

  const Memory continued = AllocateZeros(chunks.count * chunks.reach);
  const std::unique_ptr<ChunkLink[]> links(new (std::nothrow) ChunkLink[size_t(chunks.count)]);
  if (!continued || !links) return {0, repeats};
  uint8_t* const rows = static_cast<uint8_t*>(continued.get());
  each_block([&](int64_t first) {
    repeats += LinkChunks(walker, chunks, first, first + chunks.at_once,
                          rows + first * chunks.reach, links.get());
  });
  // Where most walks were stopped, another one would be too.
  const int64_t spent = 2 * stopped > chunks.count ? 1 + PieceBudget(line.length, 0) : 0;
  const auto marked = Stitcher<T>(walker, chunks, rows, links.get()).Run(spent);
  return {marked.place, marked.repeats + repeats};
}

}  // namespace jaxtv
