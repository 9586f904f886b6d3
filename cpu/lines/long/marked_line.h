// SPDX-License-Identifier: MIT
// A line and the jumps that are known of its prox.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/line.h"
#include "core/run.h"
#include "core/tv1d_divide.h"
#include "cpu/lockstep/kernels.h"

namespace jaxtv {

// A line whose runs end at its marks.
template <typename T>
struct MarkedLine {
  Line<const T> x;
  EdgeWeights<T> w;
  int64_t length;
  uint8_t* marks;

  Jump<T> JumpAt(int64_t k) const {
    if (marks[k] == kNoMark) return {0, T(0)};
    return {marks[k] == kUpMark ? 1 : -1, w(k)};
  }

  int64_t CountJumps() const {
    constexpr uint64_t kOnes = 0x0101010101010101;
    int64_t count = 0, k = 0;
    for (uint64_t eight; k + 8 <= length; k += 8) {
      std::memcpy(&eight, marks + k, 8);
      count += int64_t(((eight | eight >> 1) & kOnes) * kOnes >> 56);  // adds up the bytes
    }
    for (; k < length; ++k) count += marks[k] != kNoMark;
    return count;
  }

  // The place of the first jump at or after sample k, or the last sample.
  int64_t EndOfRun(int64_t k) const {
    for (uint64_t eight = 0; k + 8 < length; k += 8) {
      std::memcpy(&eight, marks + k, 8);
      if (eight != 0) break;
    }
    while (k < length - 1 && marks[k] == kNoMark) ++k;
    return k;
  }
};

}  // namespace jaxtv
