// SPDX-License-Identifier: MIT
// Which kernel solves lines of which shape. All choices are here.
//
//   lines                                   kernel                              work of a sample
//   many, inner >= 32 or too long to stage  a thread per line, in place         one step of a walk
//   many, inner < 32                        the same, staged in shared memory   one step of a walk
//   fewer, of more than 64 samples          a block per line                    rounds of scans
//   few, of more than 16384 samples         all blocks on all lines             the same
//
// and of float with one weight, where sums of float suffice,
//
//   many, of up to 128 samples              the lanes of a warp in step         one step of a walk
//   of 129 to 2048 samples; few, of 65      a warp per line, in registers       rounds of 16 steps
//
// A walk is the least work but serial; a block does several times the work in a fraction of the
// time. So "many" begins where walks alone fill the device, and "few" ends where a block for each
// line would keep most of it busy. With all blocks on a line, each pass is a launch of its own,
// some six a round: too much overhead for short lines.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/line.h"

namespace jaxtv::cuda {

enum class LineKernel { kThreadPerLine, kStagedLines, kBlockPerLine, kGrid };

constexpr int kManyLines = 2048;
constexpr int kFewLines = 64;
constexpr int kShortLine = 64;
#if defined(JAXTV_CUDA_EMULATOR)
constexpr int64_t kGridLength = 2560;  // so that lines of a test are long enough
#else
constexpr int64_t kGridLength = 16384;
#endif

// A tile is the staged lines of a block, which has one warp: a line for each lane. Rows have an odd
// stride, so that lanes at the same position of their lines use different banks.
constexpr int kWarp = 32;
constexpr int kTileBytes = 48 * 1024;  // a block gets as much on every device without opting in

constexpr int64_t RowStride(int64_t length) { return length | 1; }

// Whole groups of `inner` lines, since those lie together in memory.
inline int64_t LinesPerTile(const Lines& lines) { return kWarp / lines.inner * lines.inner; }

inline int64_t TileBytes(const Lines& lines, size_t sample_bytes) {
  return LinesPerTile(lines) * RowStride(lines.length) * int64_t(sample_bytes);
}

// A tile stores `sample_bytes` for each sample.
inline LineKernel ChooseKernel(const Lines& lines, size_t sample_bytes) {
  if (lines.length > kGridLength && lines.count() <= kFewLines) return LineKernel::kGrid;
  if (lines.length > kShortLine && lines.count() < kManyLines) return LineKernel::kBlockPerLine;
  const bool coalesced = lines.inner >= kWarp;
  const bool fits = !coalesced && TileBytes(lines, sample_bytes) <= kTileBytes;
  return fits ? LineKernel::kStagedLines : LineKernel::kThreadPerLine;
}

// Whether the lanes of a warp solve a line each, in step (walk_in_step.h): lines of float with one
// weight, so short that the samples and the runs of 32 of them fit in shared memory.
constexpr int64_t kWalkLength = 128;

inline bool SolvedInStep(LineKernel kernel, const Lines& lines, const WeightLayout& weights) {
  const bool by_threads =
      kernel == LineKernel::kThreadPerLine || kernel == LineKernel::kStagedLines;
  return by_threads && lines.length <= kWalkLength && weights.edge_stride == 0;
}

// Whether a warp solves each line, in registers (warp_divide.h): lines of float with one weight, of
// lengths at which walking in step would wait for too many samples, and blocks for barriers. Where
// lines are few, these lengths begin earlier.
constexpr int64_t kWarpLength = 2048;

inline bool SolvedByWarps(const Lines& lines, const WeightLayout& weights) {
  const int64_t longest =
      lines.count() < kManyLines ? kShortLine : kWalkLength;  // of other kernels
  return lines.length > longest && lines.length <= kWarpLength && weights.edge_stride == 0;
}

// Whether there are kernels for lines of half types (stored.h): with one weight, of lengths for
// which walks in step or the shortest lines of warps serve. All other lines are converted outside.
constexpr int64_t kHalfLength = 256;

inline bool SolvedInHalf(const Lines& lines, const WeightLayout& weights) {
  return lines.length <= kHalfLength && weights.edge_stride == 0;
}

// The pull-back is two passes of scans whatever the line, so a block of threads gains from the
// length at which a thread has to go far.
inline LineKernel ChoosePullBack(const Lines& lines, size_t sample_bytes) {
  const LineKernel kernel = ChooseKernel(lines, sample_bytes);
  const bool by_grid = kernel == LineKernel::kGrid;
  return lines.length > kWalkLength && !by_grid ? LineKernel::kBlockPerLine : kernel;
}

// Threads of a block that has a line: few up to kSmallBlockLength, and else as many as the
// registers of a multiprocessor suffice for.
constexpr int kSmallBlock = 128;
constexpr int kLargeBlock = 512;
constexpr int64_t kSmallBlockLength = 512;

}  // namespace jaxtv::cuda
