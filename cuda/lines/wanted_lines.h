// SPDX-License-Identifier: MIT
// Which lines of an array to solve: all, or those of the images that are still wanted, which is
// known on the device alone. Others may be solved too, where a block has lines of several images.
#pragma once

#include <cstdint>

#include "core/line.h"

namespace jaxtv::cuda {

struct WantedLines {
  const int* image_of = nullptr;  // of each sample
  const int* wanted = nullptr;    // of each image; null where all lines are

  JAXTV_HD bool All() const { return wanted == nullptr; }

  JAXTV_HD bool Has(const Lines& lines, int64_t line) const { return HasSample(lines.First(line)); }

  JAXTV_HD bool HasSample(int64_t at) const { return All() || wanted[image_of[at]] != 0; }
};

}  // namespace jaxtv::cuda
