// SPDX-License-Identifier: MIT
// A tile: one line in each vector lane, sample k of all of them in row k. Lines that are neighbours
// in memory are copied row by row, contiguous lines are transposed, any others go one by one.
#pragma once

#include "cpu/simd/moves.h"

namespace jaxtv {
namespace JAXTV_ISA {

// How the lines of a tile lie in memory.
enum class Layout { kContiguous, kNeighbours, kScattered };

template <typename P>
inline Layout LayoutOf(const P* lines, int64_t stride, int lanes) {
  if (stride == 1) return Layout::kContiguous;
  for (int l = 1; l < lanes; ++l) {
    if (lines[l] != lines[0] + l) return Layout::kScattered;
  }
  return Layout::kNeighbours;
}

// Calls block(k) so that the blocks of kLanes samples from k cover 0..length-1, and sample(k) for
// each sample of a line too short for a block. The last blocks may overlap.
template <int kLanes, typename Block, typename Sample>
inline void ForBlocks(int64_t length, const Block& block, const Sample& sample) {
  if (length < kLanes) {
    for (int64_t k = 0; k < length; ++k) sample(k);
    return;
  }
  int64_t k = 0;
  for (; k + kLanes <= length; k += kLanes) block(k);
  if (k < length) block(length - kLanes);
}

// Reads `length` samples of `lanes` lines, at most kLanes; the lanes beyond repeat the last line.
template <typename T>
inline void ReadTile(const T* const* lines, int lanes, int64_t stride, int64_t length, T* tile) {
  constexpr int kCount = kLanes<T>;
  const T* from[kCount];
  for (int l = 0; l < kCount; ++l) from[l] = lines[l < lanes ? l : lanes - 1];
  const auto sample = [&](int64_t k) {
    for (int l = 0; l < kCount; ++l) tile[k * kCount + l] = from[l][k * stride];
  };
  switch (LayoutOf(from, stride, kCount)) {
    case Layout::kContiguous:
      ForBlocks<kCount>(
          length,
          [&](int64_t k) {
            Vec<T> rows[kCount];
            for (int l = 0; l < kCount; ++l) rows[l] = Load<Vec<T>>(from[l] + k);
            Transpose<T>(rows);
            for (int l = 0; l < kCount; ++l) Store(tile + (k + l) * kCount, rows[l]);
          },
          sample);
      break;
    case Layout::kNeighbours:
      for (int64_t k = 0; k < length; ++k) {
        Store(tile + k * kCount, Load<Vec<T>>(from[0] + k * stride));
      }
      break;
    case Layout::kScattered:
      for (int64_t k = 0; k < length; ++k) sample(k);
  }
}

// Writes the first `lanes` lines.
template <typename T>
inline void WriteTile(const T* tile, int lanes, int64_t stride, int64_t length, T* const* lines) {
  constexpr int kCount = kLanes<T>;
  const auto sample = [&](int64_t k) {
    for (int l = 0; l < lanes; ++l) lines[l][k * stride] = tile[k * kCount + l];
  };
  switch (LayoutOf(lines, stride, lanes)) {
    case Layout::kContiguous:
      ForBlocks<kCount>(
          length,
          [&](int64_t k) {
            Vec<T> rows[kCount];
            for (int l = 0; l < kCount; ++l) rows[l] = Load<Vec<T>>(tile + (k + l) * kCount);
            Transpose<T>(rows);
            for (int l = 0; l < lanes; ++l) Store(lines[l] + k, rows[l]);
          },
          sample);
      break;
    case Layout::kNeighbours:
      if (lanes == kCount) {
        for (int64_t k = 0; k < length; ++k) {
          Store(lines[0] + k * stride, Load<Vec<T>>(tile + k * kCount));
        }
        break;
      }
      [[fallthrough]];
    case Layout::kScattered:
      for (int64_t k = 0; k < length; ++k) sample(k);
  }
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
