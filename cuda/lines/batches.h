// SPDX-License-Identifier: MIT
// Copies of several samples at once, by the arrangements of staged_lines.h and warp_lines.h.
#pragma once

#include <cuda_runtime.h>

namespace jaxtv::cuda {
namespace {

// Calls write(i, read(i)) for the samples i that a thread copies, several reads before their
// writes: a read does not wait for the ones before.
template <typename Layout, typename Read, typename Write>
__device__ void InBatches(const Layout& layout, const Read& read, const Write& write) {
  constexpr int kBatch = 4;
  const int copies = layout.Copies();
  for (int begin = 0; begin < copies; begin += kBatch) {
    decltype(read(0)) batch[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; ++j) {
      if (begin + j < copies) batch[j] = read(begin + j);
    }
#pragma unroll
    for (int j = 0; j < kBatch; ++j) {
      if (begin + j < copies) write(begin + j, batch[j]);
    }
  }
}

}  // namespace
}  // namespace jaxtv::cuda
