// SPDX-License-Identifier: MIT
// The values of runs of core/run.h in lock step, one line per vector lane: two regular
// sweeps over a tile, forward to the end of each run and back to fill it.
#pragma once

#include "cpu/lockstep/kernels.h"
#include "cpu/simd/moves.h"
#include "cpu/simd/wide.h"

namespace jaxtv {
namespace JAXTV_ISA {

// Fills the runs of a tile from the values at their last samples.
template <typename T>
void FillRuns(const uint8_t* marks, int64_t length, T* tile) {
  constexpr int kRow = kLanes<T>;
  Vec<T> value = Load<Vec<T>>(tile + (length - 1) * kRow);
  for (int64_t k = length - 2; k >= 0; --k) {
    const auto inside = EqualBytes<T>(marks + k * kRow, kNoMark);
    value = Select(inside, value, Load<Vec<T>>(tile + k * kRow));
    Store(tile + k * kRow, value);
  }
}

// The run values of one tile at the last samples of runs, in place of the samples. Of the parts of
// a line (kPart) the first run may have begun before, so that its value is not known, and the next
// one is not compared with it.
template <typename T, bool kEdges, bool kPart>
void RunValues(const uint8_t* marks, const T* weights, int64_t length, T* tile) {
  constexpr int kRow = kLanes<T>;
  using V = Vec<T>;
  using M = Mask<T>;
  const V zero{};
  V w = Load<V>(weights), origin{}, count{}, pull{}, previous{};
  Sum<T> sum;
  M start = FromBits<T>(kAllLanes<T>), rose = M{}, fell = M{}, known = M{};
  for (int64_t k = 0; k < length; ++k) {
    const V x = Load<V>(tile + k * kRow);
    if (kEdges) w = Load<V>(weights + k * kRow);
    const M down = EqualBytes<T>(marks + k * kRow, kDownMark);
    const M up = EqualBytes<T>(marks + k * kRow, kUpMark);
    origin = Select(start, x, origin);
    sum.Add(start, x - origin);
    count = Select(start, zero, count) + T(1);
    const V next_pull = Select(up, w, Select(down, -w, zero));
    V value = origin + (Narrow(sum.Total()) + (next_pull - pull)) / count;
    // A jump that rounding inverted is no jump.
    value = Select(fell, Min<T>(value, previous), Select(rose, Max<T>(value, previous), value));
    Store(tile + k * kRow, value);
    start = M(down | up);
    rose = M((rose & ~start) | (kPart ? M(up & known) : up));
    fell = M((fell & ~start) | (kPart ? M(down & known) : down));
    known = M(known | start);
    pull = Select(start, next_pull, pull);
    previous = Select(start, value, previous);
  }
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
