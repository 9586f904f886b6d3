// SPDX-License-Identifier: MIT
// A group of samples of an array, a sample being the elements that lie together from the first of
// the axes on: one image, or the images of all channels.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/sweeps.h"
#include "cpu/lines/blocks.h"

namespace jaxtv {

// An array and the axes of a sweep, in their order.
struct SweepArray {
  int64_t samples, pixels;   // pixels of a sample
  std::vector<Lines> lines;  // the lines of one sample, for each axis
  int64_t num_sweeps;

  int axes() const { return int(lines.size()); }
  int64_t planes() const { return CodePlanes(axes() * num_sweeps); }
};

// The samples `first` to first + count - 1.
class SweepGroup {
 public:
  SweepGroup(const SweepArray& array, int64_t first, int64_t count) : array_(array), first_(first) {
    pixels_ = count * array.pixels;
    for (Lines lines : array.lines) {
      lines.outer *= count;
      lines_.push_back(lines);
      blocks_.push_back(LineBlocks::OverSlabs(lines));
    }
  }

  const SweepArray& array() const { return array_; }
  int axes() const { return array_.axes(); }
  int64_t pixels() const { return pixels_; }
  int64_t first_pixel() const { return first_ * array_.pixels; }
  int64_t first_line(int axis) const { return first_ * array_.lines[axis].count(); }
  const Lines& lines(int axis) const { return lines_[axis]; }
  const LineBlocks& blocks(int axis) const { return blocks_[axis]; }

  // Calls f(bytes, j, count) for the stretches of a block in the plane of a half sweep.
  template <typename Byte, typename F>
  void ForPlane(const LineBlock& block, int64_t half, Byte* bits, const F& f) const {
    const int64_t plane = half / kCodesPerByte, size = array_.pixels;
    block.ForRows([&](int64_t k, int64_t j, int64_t count) {
      while (count > 0) {
        const int64_t sample = first_ + k / size, begin = k % size;
        const int64_t here = std::min(count, size - begin);
        f(bits + (sample * array_.planes() + plane) * size + begin, j, here);
        k += here;
        j += here;
        count -= here;
      }
    });
  }

 private:
  const SweepArray& array_;
  int64_t first_, pixels_;
  std::vector<Lines> lines_;  // the lines of the whole group, for each axis
  std::vector<LineBlocks> blocks_;
};

// Calls f(j, m, count) for the edges of each group of `inner` lines: from sample j + i to sample
// j + i + inner goes edge m + i, for i < count.
template <typename F>
void ForEdges(const Lines& lines, const F& f) {
  const int64_t inner = lines.inner, count = (lines.length - 1) * inner;
  for (int64_t o = 0; o < lines.outer; ++o) f(o * lines.length * inner, o * count, count);
}

}  // namespace jaxtv
