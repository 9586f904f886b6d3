// SPDX-License-Identifier: MIT
// How images are cut into regions, each of which a block keeps in shared memory while it iterates.
//
// A value depends, one iteration later, on its neighbours one step away. So after `depth`
// iterations the pixels of a region are right that lie so far from its borders, and a block writes
// those only: regions overlap by a halo of `depth` pixels on either side. A region that covers an
// axis needs no halo along it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/line.h"

namespace jaxtv::cuda {

constexpr int kMaxAxes = 3;

struct TilingAxis {
  int length;  // of the image
  int size;    // of a region, at most that
  int halo;
  int count;  // regions

  // The pixels that a block writes.
  JAXTV_HD int inner() const { return size - 2 * halo; }
  JAXTV_HD bool whole() const { return size == length; }
};

struct Tiling {
  TilingAxis axis[kMaxAxes];
  int axes;
  int depth;  // iterations between two exchanges through memory

  JAXTV_HD int pixels() const {
    int n = 1;
    for (int a = 0; a < axes; ++a) n *= axis[a].size;
    return n;
  }
  JAXTV_HD int count() const {
    int n = 1;
    for (int a = 0; a < axes; ++a) n *= axis[a].count;
    return n;
  }
};

// One region of at most `most` pixels: the image, or part of it with sides of about equal length,
// where rows of the last axis are whole sectors of memory.
inline Tiling LargestRegion(const std::vector<int>& lengths, int64_t most) {
  constexpr int kLongestRow = 64;
  const int axes = int(lengths.size());
  int64_t all = 1;
  for (const int n : lengths) all *= n;
  Tiling r{{}, axes, 0};
  int64_t rest = most;
  for (int a = axes - 1; a >= 0; --a) {
    int64_t side = rest;
    if (all > most && a > 0) {
      side = kLongestRow;
      while (side > 1 && std::pow(double(side), a + 1) > double(rest)) side /= 2;
    }
    const int size = int(std::min<int64_t>(lengths[size_t(a)], side));
    r.axis[a] = {lengths[size_t(a)], size, 0, 1};
    rest /= size;
  }
  return r;
}

// The regions of images of these lengths for blocks that hold `most` pixels and make up to
// `iterations` between exchanges; of depth 0 if there are none.
inline Tiling TilingFor(const std::vector<int>& lengths, int64_t most, int iterations) {
  const Tiling largest = LargestRegion(lengths, most);
  Tiling best = largest;
  if (std::all_of(best.axis, best.axis + best.axes,
                  [](const auto& axis) { return axis.whole(); })) {
    best.depth = iterations;
    return best;
  }
  // An exchange costs about as much as an iteration, and pixels of halos are worked on in vain.
  double least = 0;
  for (int depth = 1; depth <= iterations; depth *= 2) {
    Tiling next = largest;
    next.depth = depth;
    double cost = 1 + 1.0 / depth;
    for (int a = 0; a < next.axes; ++a) {
      TilingAxis& axis = next.axis[a];
      if (axis.whole()) continue;
      axis.halo = depth;
      if (axis.inner() < 1) return best;
      axis.count = (axis.length + axis.inner() - 1) / axis.inner();
      axis.size = (axis.length + axis.count - 1) / axis.count + 2 * depth;  // all about equal
      cost *= double(axis.size) / axis.inner();
    }
    if (best.depth == 0 || cost < least) {
      best = next;
      least = cost;
    }
  }
  return best;
}

}  // namespace jaxtv::cuda
