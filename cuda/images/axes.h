// SPDX-License-Identifier: MIT
// The axes of the images of an array. All images are worked on together: an image is the samples
// that edges connect, and each edge lies along one of the axes, so most kernels see lines only.
#pragma once

#include <cstdint>
#include <vector>

#include "core/line.h"

namespace jaxtv::cuda {

// One axis of the images, with the weights of the edges along it.
template <typename T>
struct TvAxis {
  Lines lines;
  WeightLayout weights;
  const T* lam;
};

template <typename Axis>
int64_t SampleCount(const std::vector<Axis>& axes) {
  return axes[0].lines.count() * axes[0].lines.length;
}

template <typename Axis>
std::vector<Lines> LinesOf(const std::vector<Axis>& axes) {
  std::vector<Lines> lines;
  for (const Axis& axis : axes) lines.push_back(axis.lines);
  return lines;
}

}  // namespace jaxtv::cuda
