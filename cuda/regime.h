// SPDX-License-Identifier: MIT
// Which kernel solves which shape. All choices are here.
//
//   lines                                   kernel                              work of a sample
//   many, inner >= 32 or too long to stage  a thread per line, in place         one step of a walk
//   many, inner < 32                        the same, staged in shared memory   one step of a walk
//   fewer, of more than 64 samples          a block per line                    rounds of scans
//   few, of more than 16384 samples         all blocks on all lines             the same
//
// A walk is the least work but serial; a block takes several times the work and a fraction of the
// time. So "many" is where walks alone fill the device, and "few" where a block for each line would
// leave most of it idle. Passes of all blocks are launches of their own, some six a round, which
// short lines do not repay.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/line.h"

namespace jaxtv::cuda {

enum class Regime { kThreadPerLine, kStagedLines, kBlockPerLine, kGrid };

constexpr int kManyLines = 2048;
constexpr int kFewLines = 64;
constexpr int kShortLine = 64;
#if defined(JAXTV_CUDA_EMULATOR)
constexpr int64_t kGridLength = 2560;  // so that lines of a test get there
#else
constexpr int64_t kGridLength = 16384;
#endif

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
  if (lines.length > kGridLength && lines.count() <= kFewLines) return Regime::kGrid;
  if (lines.length > kShortLine && lines.count() < kManyLines) return Regime::kBlockPerLine;
  const bool coalesced = lines.inner >= kWarp;
  const bool fits = !coalesced && TileBytes(lines, sample_bytes) <= kTileBytes;
  return fits ? Regime::kStagedLines : Regime::kThreadPerLine;
}

// Whether lanes with a line each solve it in step (tv1d_walk.h): lines of float with one weight, so
// short that the samples and the runs of 32 fit on chip.
constexpr int64_t kWalkLength = 128;

inline bool WalkInStep(Regime regime, const Lines& lines, const WeightLayout& weights) {
  const bool by_threads = regime == Regime::kThreadPerLine || regime == Regime::kStagedLines;
  return by_threads && lines.length <= kWalkLength && weights.edge_stride == 0;
}

constexpr int kSmallBlock = 128;
constexpr int kLargeBlock = 512;  // as many threads a multiprocessor have registers enough
constexpr int64_t kSmallBlockLength = 512;

// Up to here a block keeps all it knows of its line in shared memory; a longer line needs memory
// that the caller gives. This must depend on the length alone: where an array is sharded, the
// number of lines is known too late.
constexpr int64_t kOnChipLength = 2048;

// The work space of the prox of long lines, for each sample: its level, a byte for what the chunks
// of chunks.h have in common, and its mark. Of the run mean and the pulled back derivative, that
// byte alone.
constexpr int64_t kChunkSampleBytes = 1;
constexpr int64_t kProxSampleBytes = sizeof(double) + kChunkSampleBytes + 1;

constexpr int64_t ProxScratchBytes(int64_t length) {
  return length > kOnChipLength ? length * kProxSampleBytes : 0;
}

constexpr int64_t PullBackScratchBytes(int64_t length) {
  return length > kGridLength ? length * kChunkSampleBytes : 0;
}

struct ProxScratch {
  char* base;
  int64_t length, samples;  // of a line, and of all

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

// Bytes of work space that an image operator needs for each sample, and for each sample and axis.
constexpr int64_t kComponentSampleBytes = 32, kComponentAxisBytes = 1;
constexpr int64_t kCertificateSampleBytes = 56, kCertificateAxisBytes = 10;

// Arrays of fewer samples have labels of 4 bytes, others of 8. The emulator of the tests, where an
// array is small, runs both.
#if defined(JAXTV_CUDA_EMULATOR)
constexpr int64_t kNarrowLabels = 300;
#else
constexpr int64_t kNarrowLabels = int64_t(1) << 31;
#endif

}  // namespace jaxtv::cuda
