// SPDX-License-Identifier: MIT
// The TV prox of a batch of lines in lock step: all lines are walked, another method takes the rest
// of lines over budget, then the values of the runs are computed.
#pragma once

#include <cstring>

#include "cpu/lockstep/kernels.h"
#include "cpu/lockstep/run_values.h"
#include "cpu/lockstep/walk.h"
#include "cpu/simd/tile.h"

namespace jaxtv {
namespace JAXTV_ISA {

template <typename T>
constexpr int64_t TilesOf(int64_t lines) {
  return (lines + kLanes<T> - 1) / kLanes<T>;
}

// The distance between the lines that are walked. A window may start at the last sample; and all
// lanes would use the same sets of the cache if the distance were near a multiple of 1 KiB.
template <typename T>
constexpr int64_t PitchOf(int64_t length) {
  const int64_t pitch = length + kWindow;
  return pitch * int64_t(sizeof(T)) % 1024 < 64 ? pitch + 64 / int64_t(sizeof(T)) : pitch;
}

// Carves arrays, aligned to vectors, from one block of memory; from null, to count its bytes.
struct Carver {
  char* memory;
  int64_t bytes = 0;

  explicit Carver(void* block) : memory(static_cast<char*>(block)) {}

  template <typename E>
  void operator()(E*& part, int64_t size) {
    part = reinterpret_cast<E*>(memory + bytes);
    bytes += (size * int64_t(sizeof(E)) + 63) / 64 * 64;
  }
};

// Scratch memory of a batch, carved from one block.
template <typename T>
struct Scratch {
  T* tiles;         // x, then y
  T* weight_tiles;  // the edge weights, or one row of weights for each tile
  T* lines;         // x again, one line after the other, and an empty one where idle lanes stand
  T* edges;         // likewise the edge weights
  Int<T>* log;      // jumps at places in the tiles, see Field
  uint8_t* marks;   // at the places of the tiles
  // The lines to walk, see Field; the log names places in the tiles.
  Int<T>* queue;
  Int<T>* queue_shift;
  T* queue_weight;
  Int<T>* over;  // the places in the tiles at which walks over budget stand
  int64_t bytes = 0;

  Scratch(void* memory, int64_t count, int64_t length, bool per_edge) {
    const int64_t row = kLanes<T>, lanes = TilesOf<T>(count) * row, samples = lanes * length;
    const int64_t walked = (lanes + 1) * PitchOf<T>(length);
    Carver carve(memory);
    carve(tiles, samples);
    carve(weight_tiles, per_edge ? samples : lanes);
    carve(lines, walked);
    carve(edges, per_edge ? walked : 0);
    carve(log, samples + row);
    carve(marks, samples + row);
    carve(queue, lanes + row);
    carve(queue_shift, lanes + row);
    carve(queue_weight, lanes + row);
    carve(over, lanes);
    bytes = carve.bytes;
  }
};

// Which lines of a tile need solving, in the unit that they have, and the ranges of all. Caps the
// weights `lam`, one for each line or one for each edge.
template <typename T, bool kEdges>
uint32_t Prepare(const T* tile, int64_t length, T* lam, Vec<T>* ranges) {
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
  *ranges = range;
  for (int64_t k = 0; k < (kEdges ? length - 1 : 1); ++k) {
    const V w = Load<V>(lam + k * kRow);
    valid = M(valid & AtMost(zero, w));
    weighted = M(weighted | Less(zero, w));
    Store(lam + k * kRow, Min<T>(cap, w));
  }
  if (kEdges) Store(lam + (length - 1) * kRow, zero);
  const V most = Max<T>(hi, -lo);
  const M own_unit = M(AtMost(most, V(zero + kUnit<T>)) & AtMost(V(zero + T(1) / kUnit<T>), most));
  return Bits<T>(M(valid & weighted & Less(lo, hi) & own_unit));
}

// Copies the lines of a tile, one after the other.
template <typename T>
void Unroll(const T* tile, int64_t length, T* lines) {
  T* to[kLanes<T>];
  for (int l = 0; l < kLanes<T>; ++l) to[l] = lines + l * PitchOf<T>(length);
  WriteTile(tile, kLanes<T>, 1, length, to);
}

// Marks the jumps of a line from a place in its tile on. Returns -1, or the line if memory ran out.
template <typename T, bool kEdges>
int64_t Finish(const LineBatch<T>& batch, const Scratch<T>& scratch, int64_t place) {
  constexpr int kRow = kLanes<T>;
  const int64_t n = batch.length, pitch = PitchOf<T>(n), tile = place / (n * kRow);
  const int64_t line = tile * kRow + place % kRow, start = place / kRow % n;
  const T* const x = scratch.lines + line * pitch;
  const T* const w = kEdges ? scratch.edges + line * pitch : scratch.weight_tiles + line;
  uint8_t* const marks = scratch.marks + tile * n * kRow + line % kRow;
  Jump<T> left = {0, T(0)};
  if (start > 0) {
    left = {marks[(start - 1) * kRow] == kUpMark ? 1 : -1, w[kEdges ? start - 1 : 0]};
  }
  return batch.finish(x, w, kEdges, start, n, left, marks, kRow) ? -1 : line;
}

template <typename T, bool kEdges>
void ProxBatch(const LineBatch<T>& batch, void* memory, bool* solved) {
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
    Vec<T> range;
    const uint32_t walked = Prepare<T, kEdges>(tile, n, weights, &range);
    Unroll(tile, n, scratch.lines + t * kRow * pitch);
    if (kEdges) Unroll(weights, n, scratch.edges + t * kRow * pitch);
    for (int l = 0; l < lanes; ++l) {
      const int64_t place = (t * kRow + l) * pitch;
      scratch.queue[queued] = Int<T>(place);
      scratch.queue_shift[queued] = Int<T>(t * size + l - place * kRow);
      scratch.queue_weight[queued] = kEdges ? T(2) * range[l] : weights[l];
      queued += walked >> l & 1;
      solved[t * kRow + l] = walked >> l & 1;
    }
  }
  const int64_t parking = tiles * kRow * pitch;
  for (int l = 0; l < kRow; ++l) {
    scratch.queue[queued + l] = Int<T>(parking);
    scratch.queue_shift[queued + l] = 0;
    scratch.queue_weight[queued + l] = T(0);
  }
  for (int k = 0; k < kWindow; ++k) {
    scratch.lines[parking + k] = T(0);
    if (kEdges) scratch.edges[parking + k] = T(0);
  }

  const Field<T> field = {scratch.lines,
                          scratch.edges,
                          T(0),
                          T(0),
                          Int<T>(parking),
                          n,
                          queued,
                          scratch.queue,
                          scratch.queue_shift,
                          scratch.queue_weight,
                          nullptr,
                          scratch.log};
  int64_t over = 0;
  const int64_t jumps = Walk<T, kEdges, false>(field).Run(
      [&](int64_t place) { scratch.over[over++] = Int<T>(place); });
  std::memset(scratch.marks, kNoMark, size_t(tiles * size));
  MarkLogged<T>(scratch.log, jumps, scratch.marks);
  for (int64_t i = 0; i < over; ++i) {
    const int64_t failed = Finish<T, kEdges>(batch, scratch, scratch.over[i]);
    if (failed >= 0) solved[failed] = false;
  }

  for (int64_t t = 0; t < tiles; ++t) {
    T* tile = scratch.tiles + t * size;
    const uint8_t* marks = scratch.marks + t * size;
    RunValues<T, kEdges, false>(marks, scratch.weight_tiles + t * weight_size, n, tile);
    FillRuns<T>(marks, n, tile);
    WriteTile(tile, lanes_of(t), batch.stride, n, batch.y + t * kRow);
  }
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
