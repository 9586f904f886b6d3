// SPDX-License-Identifier: MIT
// The sums over long runs (core/run.h). A sum is a chain of additions that wait for one another, so
// several are added up at a time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/line.h"
#include "core/run.h"

namespace jaxtv {

// Samples [first, last], less sample `origin`.
struct Stretch {
  int64_t first, last, origin;
};

// How many stretches are mostly added up by a call.
constexpr int kMostStretches = 64;

// The sums over at least one stretch. When none is left for a chain, it adds up the last one again.
template <typename T>
void SumStretches(Line<const T> x, const Stretch* stretches, int count, LongSum<T>* sums) {
  constexpr int kChains = 4;
  int index[kChains], begun = 0, open = count;
  int64_t next[kChains], end[kChains];
  T origin[kChains];
  LongSum<T> sum[kChains];
  const auto begin = [&](int c) {
    index[c] = begun++;
    const Stretch& stretch = stretches[std::min(index[c], count - 1)];
    next[c] = stretch.first;
    end[c] = stretch.last + 1;
    origin[c] = x[stretch.origin];
    sum[c] = {};
  };
  for (int c = 0; c < kChains; ++c) begin(c);
  while (open > 0) {
    int64_t samples = end[0] - next[0];
    for (int c = 1; c < kChains; ++c) samples = std::min(samples, end[c] - next[c]);
    const T* from[kChains];
    for (int c = 0; c < kChains; ++c) from[c] = &x[next[c]];
    for (int64_t k = 0; k < samples; ++k) {
#pragma GCC unroll 4
      for (int c = 0; c < kChains; ++c) sum[c].Add(from[c][k * x.stride] - origin[c]);
    }
    for (int c = 0; c < kChains; ++c) {
      next[c] += samples;
      if (next[c] < end[c]) continue;
      if (index[c] < count) {
        sums[index[c]] = sum[c];
        --open;
      }
      begin(c);
    }
  }
}

// RunSum, but of more samples than kSumPart the sum of the sums of parts of so many.
constexpr int64_t kSumPart = 8192;

inline bool InParts(int64_t first, int64_t last) { return last - first >= kSumPart; }

template <typename T>
double SumOfRun(Line<const T> x, int64_t first, int64_t last) {
  if (!InParts(first, last)) return RunSum(x, first, last);
  LongSum<T> total;
  for (int64_t begin = first; begin <= last;) {
    Stretch parts[kMostStretches];
    LongSum<T> sums[kMostStretches];
    int count = 0;
    for (; begin <= last && count < kMostStretches; ++count, begin += kSumPart) {
      parts[count] = {begin, std::min(begin + kSumPart - 1, last), first};
    }
    SumStretches(x, parts, count, sums);
    for (int i = 0; i < count; ++i) total.Add(sums[i].Total());
  }
  return total.Total();
}

}  // namespace jaxtv
