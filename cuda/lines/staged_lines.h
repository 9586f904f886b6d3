// SPDX-License-Identifier: MIT
// Layouts of the 32 lines of a warp in shared memory, with the copies there and back. kStep is the
// distance from a sample to the next one of its line, First() the beginning of the lane's line.
#pragma once

#include <cstdint>

#include "core/line.h"
#include "cuda/common/stored.h"
#include "cuda/lines/kernel_choice.h"
#include "cuda/lines/line_tile.h"
#include "cuda/lines/prox_in_step.h"

namespace jaxtv::cuda {
namespace {

// One line after the other, for inner < 32. Copies take samples that are neighbours in memory.
struct StagedRows : LineTile {
  static constexpr int kStep = 1;

  __device__ StagedRows(const Lines& all, int per_tile) : LineTile(all, per_tile) {
    const unsigned vectors = unsigned(all.length) / 4, per_row = vectors > 0 ? vectors : 1;
    row_step = int(kWarp / per_row);
    row = int(threadIdx.x / per_row);
  }

  __device__ int Stride() const { return int(RowStride(lines.length)); }
  __device__ int Cells() const { return kWarp * Stride(); }
  __device__ int First() const { return int(threadIdx.x) * Stride(); }

  template <typename S>
  __device__ void Load(const S* x, float* tile) const {
    if (InVectors(x)) {
      ForEachVector([&](int64_t at, int slot) {
        const FourStored<S> four = LoadFour(x + at);
#pragma unroll
        for (int k = 0; k < 4; ++k) tile[slot + k] = Widened(four.value[k]);
      });
    } else {
      ForEach([&](int64_t at, int slot) { tile[slot] = Widened(x[at]); });
    }
  }

  // The line that a lane writes its result to; Store then copies the tile to memory.
  template <typename S>
  __device__ Line<float> Out(S*, float* tile) const {
    return {tile + First(), kStep};
  }

  template <typename S>
  __device__ void Store(const float* tile, S* y) const {
    __syncthreads();
    Copy(tile, y);
  }

  template <typename S>
  __device__ void Copy(const float* tile, S* y) const {
    if (InVectors(y)) {
      ForEachVector([&](int64_t at, int slot) { StoreFour(tile + slot, y + at); });
    } else {
      ForEach([&](int64_t at, int slot) { cuda::Store(tile[slot], y + at); });
    }
  }

  // The samples of the tile that this lane copies, for InBatches: every 32nd one, in the order of
  // memory.
  __device__ int Copies() const {
    return (count * int(lines.length) - int(threadIdx.x) + kWarp - 1) / kWarp;
  }
  __device__ int64_t At(int i) const { return first * lines.length + i * kWarp + threadIdx.x; }
  __device__ int Slot(int i) const {
    const int inner = int(lines.inner), length = int(lines.length), of_group = length * inner;
    const int e = i * kWarp + int(threadIdx.x), group = Quotient(e, of_group);
    const int rest = e - group * of_group, k = Quotient(rest, inner);
    return (group * inner + rest - k * inner) * Stride() + k;
  }

 private:
  // a / b for a below 32 * 128: a + 1/2 is farther from all multiples of b than rounding.
  __device__ static int Quotient(int a, int b) {
    return int(__fdividef(float(a) + 0.5f, float(b)));
  }

  // Whether four samples at a time belong to one line and are aligned.
  template <typename S>
  __device__ bool InVectors(const S* array) const {
    return lines.inner == 1 && lines.length % 4 == 0 &&
           reinterpret_cast<uintptr_t>(array) % sizeof(FourStored<S>) == 0;
  }

  // Vector v of the tile begins at sample 4 v in memory and at slot 4 v + its row in the tile.
  template <typename Visit>
  __device__ void ForEachVector(const Visit& visit) const {
    const int per_row = int(lines.length) / 4, vectors = count * per_row;
    const int column_step = kWarp - row_step * per_row;
    int r = row, column = int(threadIdx.x) - row * per_row;
    const int64_t base = first * lines.length;
#pragma unroll 4
    for (int v = threadIdx.x; v < vectors; v += kWarp) {
      visit(base + 4 * v, 4 * v + r);
      r += row_step;
      column += column_step;
      if (column >= per_row) {
        column -= per_row;
        ++r;
      }
    }
  }

  int row_step, row;  // of the vectors of a lane: the rows between two of them, the first one's row
};

// The same sample of all lines side by side, for inner >= 32: the order of memory. Results of float
// go straight to memory, so there is nothing to store; those of half types are rounded from the
// tile, since a line that is solved otherwise reads what it has written.
struct StagedColumns {
  static constexpr int kStep = kWarp;

  Lines lines;
  int64_t first;
  int64_t begin;  // where the lane's line begins in memory
  int count;

  __device__ StagedColumns(const Lines& all, int) : lines(all) {
    first = int64_t(blockIdx.x) * kWarp;
    begin = all.First(first + threadIdx.x);
    const int64_t left = all.count() - first;
    count = left < kWarp ? int(left) : kWarp;
  }

  __device__ int Cells() const { return kWarp * int(lines.length); }
  __device__ int First() const { return threadIdx.x; }

  template <typename S>
  __device__ void Load(const S* x, float* tile) const {
    if (int(threadIdx.x) >= count) return;
    const S* at = x + begin;
#pragma unroll 8
    for (int k = 0; k < int(lines.length); ++k) {
      tile[k * kStep + threadIdx.x] = Widened(*at);
      at += lines.inner;
    }
  }

  // As of StagedRows: the samples of the lane's line.
  __device__ int Copies() const { return int(threadIdx.x) < count ? int(lines.length) : 0; }
  __device__ int64_t At(int i) const { return begin + i * lines.inner; }
  __device__ int Slot(int i) const { return i * kStep + int(threadIdx.x); }

  __device__ Line<float> Out(float* y, float*) const { return {y + begin, lines.inner}; }
  template <typename S>
  __device__ Line<float> Out(S*, float* tile) const {
    return {tile + First(), kStep};
  }

  __device__ void Store(const float*, float*) const {}
  template <typename S>
  __device__ void Store(const float* tile, S* y) const {
    Copy(tile, y);
  }

  // Each lane copies its line.
  template <typename S>
  __device__ void Copy(const float* tile, S* y) const {
    if (int(threadIdx.x) >= count) return;
    S* at = y + begin;
#pragma unroll 8
    for (int k = 0; k < int(lines.length); ++k) {
      cuda::Store(tile[k * kStep + threadIdx.x], at);
      at += lines.inner;
    }
  }
};

__device__ inline void Clear(float* slots, int count) {
  float4* const vectors = reinterpret_cast<float4*>(slots);
  for (int v = threadIdx.x; v < count / 4; v += kWarp) {
    vectors[v] = float4{kUnset, kUnset, kUnset, kUnset};
  }
}

// inverses[d] = 1 / d for runs of up to n samples.
__device__ inline void WriteInverses(float* inverses, int n) {
  for (int d = threadIdx.x; d <= n; d += kWarp) inverses[d] = 1.0f / float(d);
}

// A warp for each tile; in shared memory its samples, as many slots, and the inverses.
inline Grid WalkGrid(const Lines& lines, int per_tile, cudaStream_t stream) {
  const int64_t floats = 2 * kWarp * RowStride(lines.length) + lines.length + 1;
  return {CeilDiv(lines.count(), per_tile), kWarp, size_t(floats) * sizeof(float), stream};
}

}  // namespace
}  // namespace jaxtv::cuda
