// SPDX-License-Identifier: MIT
// The walk of core/tv1d.h and the run values of core/run.h in lock step, one line per vector lane.
//
// The parts: batch.h for many lines, on walk.h and run_values.h, near_batch.h for lines whose jumps
// are nearly known, on active_set.h, and pull_back.h for the derivative.
#include "cpu/lockstep/kernels.h"

#include "cpu/lockstep/batch.h"
#include "cpu/lockstep/long_run.h"
#include "cpu/lockstep/near_batch.h"
#include "cpu/lockstep/pull_back.h"
#include "cpu/lockstep/run_values.h"
#include "cpu/lockstep/walk.h"
#include "cpu/simd/tile.h"

namespace jaxtv {
namespace JAXTV_ISA {
namespace {

template <typename T>
void Prox(const LineBatch<T>& batch, void* scratch, bool* solved) {
  if (batch.edge_stride == 0) {
    ProxBatch<T, false>(batch, scratch, solved);
  } else {
    ProxBatch<T, true>(batch, scratch, solved);
  }
}

template <typename T>
void Near(const LineBatch<T>& batch, void* scratch, bool* solved) {
  if (batch.edge_stride == 0) {
    ProxNear<T, false>(batch, scratch, solved);
  } else {
    ProxNear<T, true>(batch, scratch, solved);
  }
}

template <typename T>
int64_t NearScratchBytes(int64_t length, bool edges) {
  return NearScratch<T>(nullptr, length, edges).bytes;
}

template <typename T>
int64_t WalkScratchBytes(int64_t count, int64_t length) {
  return (4 * (count + kLanes<T>)+count * length + kLanes<T>)*int64_t(sizeof(T));
}

template <typename T>
WalkCount WalkPieces(const ChunkedLine<T>& line, const PieceStart<T>* pieces, int64_t count,
                     int64_t length, void* memory, uint8_t* marks) {
  const int64_t first = pieces[0].place, slots = count + kLanes<T>;
  const Int<T> parking = Int<T>(pieces[count - 1].place - first + length);
  Int<T>* queue = static_cast<Int<T>*>(memory);
  Int<T>* shift = queue + slots;
  T* weights = reinterpret_cast<T*>(shift + slots);
  T* carried = weights + slots;
  Int<T>* log = reinterpret_cast<Int<T>*>(carried + slots);
  for (int64_t i = 0; i < slots; ++i) {
    queue[i] = i < count ? Int<T>(pieces[i].place - first) : parking;
    shift[i] = i < count ? Int<T>(i * length) - queue[i] : 0;
    weights[i] = i < count ? line.cap : T(0);
    carried[i] = i < count ? -pieces[i].left.pull() : T(0);
  }
  const T* edges = line.lam ? line.lam + first : nullptr;
  const Field<T> field = {line.x + first, edges, line.cap, T(2) * line.range, parking, length,
                          count,          queue, shift,    weights,           carried, log};
  WalkCount walked;
  const auto run = [&](auto walk) {
    const int64_t jumps = walk.Run([&](int64_t) { ++walked.stopped; });
    MarkLogged<T>(log, jumps, marks);
    walked.repeats = walk.repeats();
  };
  if (line.lam) {
    run(Walk<T, true, true>(field));
  } else {
    run(Walk<T, false, true>(field));
  }
  return walked;
}

template <typename T>
RunEnd WalkLongRun(const ChunkedLine<T>& line, int64_t end, int64_t start, Jump<T> left,
                   int64_t* steps) {
  const auto walk = [&](auto run) {
    const RunEnd found = run.Walk(end);
    *steps += 128 + run.taken() / 2;
    return found;
  };
  if (line.lam) return walk(LongRun<T, true>(line, start, left));
  return walk(LongRun<T, false>(line, start, left));
}

// Scratch memory of three tiles: samples, weights, marks.
template <typename T>
void ChunkValues(const ChunkedLine<T>& line, int64_t first, int64_t chunk, void* memory) {
  constexpr int kRow = kLanes<T>;
  T* tile = static_cast<T*>(memory);
  T* weights = tile + kRow * chunk;
  uint8_t* marks = reinterpret_cast<uint8_t*>(weights + kRow * chunk);
  const T *x[kRow], *lam[kRow];
  T* y[kRow];
  for (int l = 0; l < kRow; ++l) {
    x[l] = line.x + first + l * chunk;
    y[l] = line.y + first + l * chunk;
    lam[l] = line.lam ? line.lam + first + l * chunk : nullptr;
    const uint8_t* from = line.marks + first + l * chunk;
    for (int64_t k = 0; k < chunk; ++k) marks[k * kRow + l] = from[k];
  }
  ReadTile(x, kRow, 1, chunk, tile);
  if (line.lam) {
    ReadTile(lam, kRow, 1, chunk, weights);
    const Vec<T> cap = Vec<T>{} + line.cap;
    for (int64_t k = 0; k < chunk; ++k) {
      Store(weights + k * kRow, Min<T>(cap, Load<Vec<T>>(weights + k * kRow)));
    }
    RunValues<T, true, true>(marks, weights, chunk, tile);
  } else {
    Store(weights, Vec<T>{} + line.cap);
    RunValues<T, false, true>(marks, weights, chunk, tile);
  }
  FillRuns<T>(marks, chunk, tile);
  WriteTile(tile, kRow, 1, chunk, y);
}

template <typename T>
Extent<T> ExtentOf(const T* x, int64_t length) {
  constexpr int kRow = kLanes<T>;
  using V = Vec<T>;
  Extent<T> e = {x[0], x[0], true, true};
  V lo = V{} + x[0], hi = lo;
  Mask<T> finite = FromBits<T>(kAllLanes<T>), ordered = finite;
  int64_t k = 0;
  for (; k + kRow <= length; k += kRow) {
    const V v = Load<V>(x + k);
    finite = Mask<T>(finite & Equal(V(v - v), V{}));
    ordered = Mask<T>(ordered & Equal(v, v));
    lo = Min<T>(lo, v);
    hi = Max<T>(hi, v);
  }
  e.finite = Bits<T>(finite) == kAllLanes<T>;
  e.ordered = Bits<T>(ordered) == kAllLanes<T>;
  const auto include = [&e](T a, T b) {
    e.lo = a < e.lo ? a : e.lo;
    e.hi = b > e.hi ? b : e.hi;
  };
  for (int l = 0; l < kRow; ++l) include(lo[l], hi[l]);
  for (; k < length; ++k) {
    e.finite = e.finite && x[k] - x[k] == T(0);
    e.ordered = e.ordered && x[k] == x[k];
    include(x[k], x[k]);
  }
  return e;
}

template <typename T>
int64_t BatchLines(int64_t length) {
  constexpr int64_t kSamples = 8192;  // about as many as the fastest caches hold
  const int64_t tiles = kSamples / (length * kLanes<T>);
  return kLanes<T> * (tiles > 2 * kInterleaved ? tiles : 2 * kInterleaved);
}

template <typename T>
int64_t ScratchBytes(int64_t lines, int64_t length, bool edges) {
  return Scratch<T>(nullptr, lines, length, edges).bytes;
}

template <typename T>
constexpr LaneKernels<T> kKernels = {BatchLines<T>,  ScratchBytes<T>,     Prox<T>,
                                     Near<T>,        NearScratchBytes<T>, PullBack<T>,
                                     WalkPieces<T>,  WalkScratchBytes<T>, WalkLongRun<T>,
                                     ChunkValues<T>, kLanes<T>,           ExtentOf<T>};

}  // namespace

const LaneSet& Kernels() {
  static constexpr LaneSet kSet = {kKernels<float>, kKernels<double>};
  return kSet;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
