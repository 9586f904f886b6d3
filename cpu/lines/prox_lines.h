// SPDX-License-Identifier: MIT
// The TV prox of many lines on one thread, by the fastest kernels that this processor has. Bit for
// bit the results of core/tv1d.h, whichever those are: the environment variable JAXTV_CPU_ISA =
// scalar, portable, avx2 or avx512 asks for other ones.
#pragma once

#include "core/line.h"

namespace jaxtv {

// Lines beyond this length are taken one by one, in chunks (cpu/lines/long/prox.h).
constexpr int64_t kLongLine = 8192;

// The prox of lines [begin, end) of `x`, for float and double.
template <typename T>
void ProxLines(const Lines& lines, const WeightLayout& weights, const T* x, const T* lam, T* y,
               int64_t begin, int64_t end);

}  // namespace jaxtv
