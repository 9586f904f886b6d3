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

// An axis along which all lines are solved in turn with the others.
template <typename T>
struct SolvedAxis : TvAxis<T> {
  T* input;     // z: what is solved
  T* result;    // of the line solves, exactly constant on runs
  T* dual;      // v_a = z - result
  T* previous;  // v_a before the last sweep; null for the first axis
  // The lines of an image are those of number first[image] + member[j], j < members.
  WeightLayout first, member;
  int64_t members;
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
