// SPDX-License-Identifier: MIT
// The TV prox of many lines on one thread, by the fastest kernels that this processor has. They all
// give the results of core/tv1d.h, bit for bit.
#pragma once

#include "core/line.h"

namespace jaxtv {

// Lines beyond this length are taken one by one, in chunks (cpu/lines/long/prox.h); of shorter ones
// a few are, if they are long enough to fill the lanes.
constexpr int64_t kLongLine = 8192;

// The prox of lines [begin, end) of `x`, for float and double.
template <typename T>
void ProxLines(const Lines& lines, const WeightLayout& weights, const T* x, const T* lam, T* y,
               int64_t begin, int64_t end);

// The same where `y` holds the prox of lines near to these, which saves time.
template <typename T>
void ProxLinesNear(const Lines& lines, const WeightLayout& weights, const T* x, const T* lam, T* y,
                   int64_t begin, int64_t end);

}  // namespace jaxtv
