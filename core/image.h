// SPDX-License-Identifier: MIT
// One image, contiguous in memory, of any number of axes.
#pragma once

#include <cstdint>
#include <vector>

#include "core/line.h"

namespace jaxtv {

struct Image {
  std::vector<int64_t> size;

  int axes() const { return int(size.size()); }

  int64_t pixels() const {
    int64_t count = 1;
    for (const int64_t n : size) count *= n;
    return count;
  }

  Lines Along(int axis) const {
    Lines lines{1, size[axis], 1};
    for (int a = 0; a < axis; ++a) lines.outer *= size[a];
    for (int a = axis + 1; a < axes(); ++a) lines.inner *= size[a];
    return lines;
  }
};

// The weights along one axis: the edge from pixel k to its next neighbour has data[k * step].
template <typename T>
struct AxisWeights {
  const T* data;
  int64_t step;  // 0: one weight for all

  T operator[](int64_t k) const { return data[k * step]; }
};

}  // namespace jaxtv
