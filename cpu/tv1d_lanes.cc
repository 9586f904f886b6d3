// SPDX-License-Identifier: MIT
// The walk of core/tv1d.h and the run values of core/run.h in lock step, one line per vector lane.
//
// The walk is in tv1d_walk.h, the values are in run_lanes.h, the derivative in pull_back_lanes.h.
#include "cpu/tv1d_lanes.h"

#include "cpu/pull_back_lanes.h"
#include "cpu/run_lanes.h"
#include "cpu/tile.h"
#include "cpu/tv1d_walk.h"

namespace jaxtv {
namespace JAXTV_ISA {
namespace {

template <typename T>
constexpr int64_t TilesOf(int64_t lines) {
  return (lines + kLanes<T> - 1) / kLanes<T>;
}

// Samples from one line to the next where lines are walked: room for a window at the end, and
// not near a power of two, or the lanes would compete for the same sets of the cache.
template <typename T>
constexpr int64_t PitchOf(int64_t length) {
  const int64_t pitch = length + kWindow<T>;
  return pitch * int64_t(sizeof(T)) % 1024 < 64 ? pitch + 64 / int64_t(sizeof(T)) : pitch;
}

// Scratch memory of a batch, carved from one block.
template <typename T>
struct Scratch {
  T* tiles;         // of x, then of y
  T* weight_tiles;  // of edge weights, or one row of weights for each tile
  T* lines;         // x again, one line after the other, and an empty one where idle lanes stand
  T* edges;         // likewise the edge weights
  Int<T>* log;      // jumps: twice the place in the tiles, plus 1 if up
  uint8_t* marks;   // at the places of the tiles
  // The lines to walk: place of the first sample in `lines`, what to add to kLanes times such a
  // place for that in the tiles, and the weight.
  Int<T>* queue;
  Int<T>* queue_shift;
  T* queue_weight;
  int64_t bytes = 0;

  Scratch(void* memory, int64_t count, int64_t length, bool per_edge) {
    const int64_t row = kLanes<T>, lanes = TilesOf<T>(count) * row, samples = lanes * length;
    const int64_t walked = (lanes + 1) * PitchOf<T>(length);
    const auto take = [&](auto*& part, int64_t size) {
      part = reinterpret_cast<std::remove_reference_t<decltype(part)>>(static_cast<char*>(memory) +
                                                                       bytes);
      bytes += (size * int64_t(sizeof(*part)) + 63) / 64 * 64;
    };
    take(tiles, samples);
    take(weight_tiles, per_edge ? samples : lanes);
    take(lines, walked);
    take(edges, per_edge ? walked : 0);
    take(log, samples + row);
    take(marks, samples + row);
    take(queue, lanes + row);
    take(queue_shift, lanes + row);
    take(queue_weight, lanes + row);
  }
};

// Which lines of a tile have a prox, and which of those the walk has to find.
struct Kinds {
  uint32_t valid, walked;
};

// Looks at the samples of a tile, and caps its weights (`lam`: those of its lines, or of its
// edges).
template <typename T, bool kEdges>
Kinds Prepare(const T* tile, int64_t length, T* lam) {
  constexpr int kRow = kLanes<T>;
  using V = Vec<T>;
  using M = Mask<T>;
  const V zero{};
  V lo = Load<V>(tile), hi = lo;
  M valid = FromBits<T>(kAllLanes<T>), weighted = M{};
  for (int64_t k = 0; k < length; ++k) {
    const V x = Load<V>(tile + k * kRow);
    valid = M(valid & Equal(V(x - x), zero));
    lo = Min<T>(lo, x);
    hi = Max<T>(hi, x);
  }
  const V range = hi - lo, cap = V(zero + T(length)) * range;
  for (int64_t k = 0; k < (kEdges ? length - 1 : 1); ++k) {
    const V w = Load<V>(lam + k * kRow);
    valid = M(valid & AtMost(zero, w));
    weighted = M(weighted | Less(zero, w));
    Store(lam + k * kRow, Min<T>(cap, w));
  }
  if (kEdges) Store(lam + (length - 1) * kRow, zero);
  return {Bits<T>(valid), Bits<T>(M(valid & weighted & Less(zero, range)))};
}

// Copies a tile to lines of its own.
template <typename T>
void Unroll(const T* tile, int64_t length, T* lines) {
  T* to[kLanes<T>];
  for (int l = 0; l < kLanes<T>; ++l) to[l] = lines + l * PitchOf<T>(length);
  WriteTile(tile, kLanes<T>, 1, length, to);
}

template <typename T, bool kEdges>
void ProxBatch(const LineBatch<T>& batch, void* memory, WalkEnd* ends) {
  constexpr int kRow = kLanes<T>;
  const int64_t n = batch.length, tiles = TilesOf<T>(batch.count), size = n * kRow;
  const int64_t weight_size = kEdges ? size : kRow, pitch = PitchOf<T>(n);
  const Scratch<T> scratch(memory, batch.count, n, kEdges);
  const auto lanes_of = [&](int64_t t) {
    return int(batch.count - t * kRow < kRow ? batch.count - t * kRow : kRow);
  };

  int64_t queued = 0;
  for (int64_t t = 0; t < tiles; ++t) {
    T* tile = scratch.tiles + t * size;
    T* weights = scratch.weight_tiles + t * weight_size;
    const int lanes = lanes_of(t);
    ReadTile(batch.x + t * kRow, lanes, batch.stride, n, tile);
    ReadTile(batch.lam + t * kRow, lanes, batch.edge_stride, kEdges ? n - 1 : 1, weights);
    const Kinds kinds = Prepare<T, kEdges>(tile, n, weights);
    Unroll(tile, n, scratch.lines + t * kRow * pitch);
    if (kEdges) Unroll(weights, n, scratch.edges + t * kRow * pitch);
    for (int l = 0; l < lanes; ++l) {
      const int64_t place = (t * kRow + l) * pitch;
      scratch.queue[queued] = Int<T>(place);
      scratch.queue_shift[queued] = Int<T>(t * size + l - place * kRow);
      scratch.queue_weight[queued] = weights[l];
      queued += kinds.walked >> l & 1;
      ends[t * kRow + l] = {kinds.walked >> l & 1  ? n
                            : kinds.valid >> l & 1 ? kKeepLine
                                                   : kBadLine,
                            0};
    }
  }
  const int64_t parking = tiles * kRow * pitch;
  for (int l = 0; l < kRow; ++l) {
    scratch.queue[queued + l] = Int<T>(parking);
    scratch.queue_shift[queued + l] = 0;
    scratch.queue_weight[queued + l] = T(0);
  }
  for (int k = 0; k < kWindow<T>; ++k) {
    scratch.lines[parking + k] = T(0);
    if (kEdges) scratch.edges[parking + k] = T(0);
  }

  const Field<T> field = {scratch.lines,
                          scratch.edges,
                          T(0),
                          Int<T>(parking),
                          n,
                          queued,
                          scratch.queue,
                          scratch.queue_shift,
                          scratch.queue_weight,
                          scratch.log};
  const int64_t jumps = Walk<T, kEdges, false>(field).Run([&](int64_t place, int jump) {
    const int64_t row = place / kRow;
    ends[row / n * kRow + place % kRow] = {row % n, jump};
  });
  std::memset(scratch.marks, kNoMark, size_t(tiles * size));
  for (int64_t j = 0; j < jumps; ++j) {
    scratch.marks[scratch.log[j] >> 1] = scratch.log[j] & 1 ? kUpMark : kDownMark;
  }

  for (int64_t t = 0; t < tiles; ++t) {
    T* tile = scratch.tiles + t * size;
    const uint8_t* marks = scratch.marks + t * size;
    RunValues<T, kEdges>(marks, scratch.weight_tiles + t * weight_size, n, tile);
    FillRuns<T>(marks, n, tile);
    WriteTile(tile, lanes_of(t), batch.stride, n, batch.y + t * kRow);
  }
}

template <typename T>
void Prox(const LineBatch<T>& batch, void* scratch, WalkEnd* ends) {
  if (batch.edge_stride == 0) {
    ProxBatch<T, false>(batch, scratch, ends);
  } else {
    ProxBatch<T, true>(batch, scratch, ends);
  }
}

template <typename T>
int64_t WalkScratchBytes(int64_t chunks, int64_t chunk) {
  return (2 * (chunks + kLanes<T>)+chunks * chunk + kLanes<T>)*int64_t(sizeof(T));
}

template <typename T>
void WalkChunks(const ChunkedLine<T>& line, int64_t first, int64_t chunks, int64_t chunk,
                void* memory) {
  const Int<T> parking = Int<T>(chunks * chunk);
  Int<T>* queue = static_cast<Int<T>*>(memory);
  T* weights = reinterpret_cast<T*>(queue + chunks + kLanes<T>);
  Int<T>* log = reinterpret_cast<Int<T>*>(weights + chunks + kLanes<T>);
  for (int64_t c = 0; c < chunks + kLanes<T>; ++c) {
    queue[c] = c < chunks ? Int<T>(c * chunk) : parking;
    weights[c] = c < chunks ? line.cap : T(0);
  }
  const T* edges = line.lam ? line.lam + first : nullptr;
  const Field<T> field = {line.x + first, edges, line.cap, parking, chunk,
                          chunks,         queue, queue,    weights, log};
  const auto stopped = [](int64_t, int) {};
  const int64_t jumps =
      line.lam ? Walk<T, true, true>(field).Run(stopped) : Walk<T, false, true>(field).Run(stopped);
  for (int64_t j = 0; j < jumps; ++j) {
    line.marks[first + (log[j] >> 1)] = log[j] & 1 ? kUpMark : kDownMark;
  }
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
    RunValues<T, true>(marks, weights, chunk, tile);
  } else {
    Store(weights, Vec<T>{} + line.cap);
    RunValues<T, false>(marks, weights, chunk, tile);
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
  constexpr int64_t kSamples = 8192;  // what fits the fastest caches
  const int64_t tiles = kSamples / (length * kLanes<T>);
  return kLanes<T> * (tiles > 2 * kInterleaved ? tiles : 2 * kInterleaved);
}

template <typename T>
int64_t ScratchBytes(int64_t lines, int64_t length, bool edges) {
  return Scratch<T>(nullptr, lines, length, edges).bytes;
}

template <typename T>
constexpr LaneKernels<T> kKernels = {BatchLines<T>,  ScratchBytes<T>, Prox<T>,
                                     PullBack<T>,    WalkChunks<T>,   WalkScratchBytes<T>,
                                     ChunkValues<T>, kLanes<T>,       ExtentOf<T>};

}  // namespace

const LaneSet& Kernels() {
  static constexpr LaneSet kSet = {kKernels<float>, kKernels<double>};
  return kSet;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
