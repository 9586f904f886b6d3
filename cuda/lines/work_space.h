// SPDX-License-Identifier: MIT
// The work space of the kernels of long lines, and its layout for the prox.
#pragma once

#include "core/line.h"
#include "cuda/lines/kernel_choice.h"

namespace jaxtv::cuda {

// Up to this length a block keeps its line in shared memory; a longer line needs memory that the
// caller gives. It must depend on the length alone: where an array is sharded, the number of lines
// is not known yet when the work space is allocated.
constexpr int64_t kOnChipLength = 2048;

// For each sample, the prox of long lines needs its level (a double), a byte for the states of the
// chunks (chunks.h) and its mark (tv1d_divide.h); the pull-back needs the byte for the chunks
// alone.
constexpr int64_t kChunkSampleBytes = 1;
constexpr int64_t kProxSampleBytes = sizeof(double) + kChunkSampleBytes + 1;

constexpr int64_t ProxScratchBytes(int64_t length) {
  return length > kOnChipLength ? length * kProxSampleBytes : 0;
}

constexpr int64_t PullBackScratchBytes(int64_t length) {
  return length > kGridLength ? length * kChunkSampleBytes : 0;
}

// All levels, then the states of the chunks, then all marks.
struct ProxScratch {
  char* base;
  int64_t length;   // of each line
  int64_t samples;  // of all lines together

  ProxScratch(void* memory, const Lines& lines)
      : base(static_cast<char*>(memory)),
        length(lines.length),
        samples(lines.count() * lines.length) {}

  JAXTV_HD double* Levels(int64_t line) const {
    return reinterpret_cast<double*>(base) + line * length;
  }
  JAXTV_HD char* Chunks() const { return base + samples * int64_t(sizeof(double)); }
  JAXTV_HD signed char* Marks(int64_t line) const {
    return reinterpret_cast<signed char*>(Chunks() + samples * kChunkSampleBytes) + line * length;
  }
};

}  // namespace jaxtv::cuda
