// SPDX-License-Identifier: MIT
// Which kernel solves which shape. All choices are here.
//
//   lines                                   kernel                              work of a sample
//   many, inner >= 32 or too long to stage  a thread per line, in place         one step of a walk
//   many, inner < 32                        the same, staged in shared memory   one step of a walk
//   few, of more than 64 samples            a block per line                    rounds of scans
//
// A walk is the least work but serial; a block takes several times the work and a fraction of the
// time. So "many" is where walks alone fill the device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/line.h"

namespace jaxtv::cuda {

enum class Regime { kThreadPerLine, kStagedLines, kBlockPerLine };

constexpr int kManyLines = 2048;
constexpr int kShortLine = 64;

// A tile of staged lines: one for each lane of the one warp of its block. Rows have an odd stride,
// so that lanes at the same position of their lines use different banks.
constexpr int kWarp = 32;
constexpr int kTileBytes = 48 * 1024;  // what every device gives a block unasked

constexpr int64_t RowStride(int64_t length) { return length | 1; }

// Whole groups of `inner` lines, since those lie together in memory.
inline int64_t LinesPerTile(const Lines& lines) { return kWarp / lines.inner * lines.inner; }

inline int64_t TileBytes(const Lines& lines, size_t sample_bytes) {
  return LinesPerTile(lines) * RowStride(lines.length) * int64_t(sample_bytes);
}

// `sample_bytes`: what a tile stores of each sample.
inline Regime ChooseRegime(const Lines& lines, size_t sample_bytes) {
  if (lines.length > kShortLine && lines.count() < kManyLines) return Regime::kBlockPerLine;
  const bool coalesced = lines.inner >= kWarp;
  const bool fits = !coalesced && TileBytes(lines, sample_bytes) <= kTileBytes;
  return fits ? Regime::kStagedLines : Regime::kThreadPerLine;
}

constexpr int kSmallBlock = 128;
constexpr int kLargeBlock = 512;  // as many threads a multiprocessor have registers enough
constexpr int64_t kSmallBlockLength = 512;

// Up to here a block keeps all it knows of its line in shared memory; a longer line needs its
// levels in memory that the caller gives. This must depend on the length alone: where an array is
// sharded, the number of lines is known too late.
constexpr int64_t kOnChipLength = 2048;
constexpr int64_t kScratchSampleBytes = sizeof(double);

constexpr int64_t ProxScratchBytes(int64_t length) {
  return length > kOnChipLength ? length * kScratchSampleBytes : 0;
}

}  // namespace jaxtv::cuda
