// SPDX-License-Identifier: MIT
// The TV prox of a batch of lines in lock step from that of lines near by, tile by tile: the jumps
// are revised until they are right, and another method takes the lines for which that takes too
// long.
#pragma once

#include "cpu/lockstep/active_set.h"
#include "cpu/lockstep/batch.h"

namespace jaxtv {
namespace JAXTV_ISA {

// Scratch memory of a tile, carved from one block.
template <typename T>
struct NearScratch {
  ActiveSet<T> set;
  T* tile;     // x, then y
  T* weights;  // the edge weights, or one row of weights
  T* line;     // one line of the tile, its weights and marks
  T* edges;
  uint8_t* marks;
  int64_t bytes = 0;

  NearScratch(void* memory, int64_t length, bool per_edge) {
    const int64_t samples = length * kLanes<T>;
    Carver carve(memory);
    carve(tile, samples);
    carve(weights, per_edge ? samples : kLanes<T>);
    carve(set.jumps, length);
    carve(set.steps, length);
    carve(set.records, length);
    carve(set.changes, length);
    carve(set.origins, samples);
    carve(set.shifts, samples);
    carve(line, length);
    carve(edges, length);
    carve(marks, length);
    set.length = length;
    set.x = tile;
    set.weights = weights;
    bytes = carve.bytes;
  }
};

// Takes the jumps of a line of the tile from another method. False if memory ran out.
template <typename T, bool kEdges>
bool FinishLane(const LineBatch<T>& batch, int lane, const NearScratch<T>& scratch) {
  const int64_t n = batch.length;
  for (int64_t k = 0; k < n; ++k) {
    scratch.line[k] = scratch.tile[k * kLanes<T> + lane];
    scratch.edges[k] = scratch.weights[(kEdges ? k * kLanes<T> : 0) + lane];
    scratch.marks[k] = kNoMark;
  }
  const Jump<T> none = {0, T(0)};
  if (!batch.finish(scratch.line, scratch.edges, kEdges, 0, n, none, scratch.marks, 1))
    return false;
  for (int64_t k = 0; k < n; ++k) {
    const uint32_t up = scratch.marks[k] == kUpMark, down = scratch.marks[k] == kDownMark;
    const uint32_t others = ~(0x10001u << lane);
    scratch.set.jumps[k] = (scratch.set.jumps[k] & others) | up << lane | down << (lane + 16);
  }
  return true;
}

template <typename T, bool kEdges>
void ProxNear(const LineBatch<T>& batch, void* memory, bool* solved) {
  constexpr int kRow = kLanes<T>;
  constexpr int kMostRounds = 16;  // lines in the iterations on photographs take up to 8
  const int64_t n = batch.length;
  const NearScratch<T> scratch(memory, n, kEdges);
  const ActiveSet<T>& set = scratch.set;
  for (int64_t first = 0; first < batch.count; first += kRow) {
    const int lanes = int(batch.count - first < kRow ? batch.count - first : kRow);
    ReadTile(batch.x + first, lanes, batch.stride, n, scratch.tile);
    ReadTile(batch.lam + first, lanes, batch.edge_stride, kEdges ? n - 1 : 1, scratch.weights);
    ReadTile<T>(batch.y + first, lanes, batch.stride, n, set.shifts);
    Vec<T> ranges;
    uint32_t active = Prepare<T, kEdges>(scratch.tile, n, scratch.weights, &ranges);
    for (int l = 0; l < lanes; ++l) solved[first + l] = active >> l & 1;
    TakeJumps<T>(set.shifts, active, set);
    uint32_t changed = active, stuck = 0;
    for (int round = 0; changed != 0 && round < kMostRounds; ++round) {
      SolveRuns<T, kEdges>(set);
      CheckRuns<T, kEdges>(set);
      changed = ReviseJumps<T>(set, &active, &stuck);
    }
    if (const uint32_t left = changed | stuck) {
      for (int l = 0; l < lanes; ++l) {
        if (left >> l & 1) solved[first + l] = FinishLane<T, kEdges>(batch, l, scratch);
      }
      SolveRuns<T, kEdges>(set);
    }
    WriteRuns<T>(set, scratch.tile);
    WriteTile(scratch.tile, lanes, batch.stride, n, batch.y + first);
  }
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
