// SPDX-License-Identifier: MIT
// The TV prox of a block of the lines of an image.
#pragma once

#include <cstdint>

#include "core/image.h"
#include "cpu/lines/blocks.h"
#include "cpu/lines/prox_lines.h"

namespace jaxtv {

// Reads the lines of the block from its buffer `in` and writes their prox to its buffer `out`,
// which holds that of lines near by if `near`.
template <typename T>
void ProxBlock(const LineBlock& block, const AxisWeights<T>& weights, const T* in, T* out,
               bool near) {
  const Lines& lines = block.lines;
  WeightLayout layout;
  const T* lam = weights.data;
  if (weights.step != 0) {
    lam += block.first;
    layout.rank = 1;
    layout.size[0] = lines.count();
    layout.stride[0] = lines.inner == 1 ? lines.length : 1;
    layout.edge_stride = lines.inner == 1 ? 1 : block.stride;
  }
  (near ? ProxLinesNear<T> : ProxLines<T>)(lines, layout, in, lam, out, 0, lines.count());
}

}  // namespace jaxtv
