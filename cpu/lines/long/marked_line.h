// SPDX-License-Identifier: MIT
// A line and the jumps that are known of its prox.
#pragma once

#include <cstdint>

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
};

}  // namespace jaxtv
