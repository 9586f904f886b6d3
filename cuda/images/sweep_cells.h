// SPDX-License-Identifier: MIT
// The images of a block in shared memory, for lanes that go in step, and the codes of their lines.
//
// A pixel is a cell of three floats, and rows have an odd number of cells. So both neighbours along
// a row and along a column lie in different banks, and all that a lane needs of a pixel is at one
// address and constants. Images begin at banks of which eight differ by fours: the eight channels
// of a pixel, and those of the next three, are written without a conflict.
//
// The codes of a line (core/sweeps.h) are packed, 16 to a word, the first sample's lowest. Lanes of
// a warp write words side by side, once for 16 samples, instead of a byte for each.
//
// A thread has two roles: a line of an image, along either axis; and a column of pixels of one
// image, such that neighbouring threads have neighbours in memory.
#pragma once

#include <cstdint>

#include "core/sweeps.h"
#include "cuda/common/launch.h"
#include "cuda/images/image_tile.h"
#include "cuda/images/sweeps.h"

namespace jaxtv::cuda {
namespace {

constexpr int kCell = 3;              // floats of a pixel
constexpr int kCodesOfWord = 16;      // samples of a line
constexpr int kMaxCellThreads = 256;  // of a block
constexpr int kCellBlocks = 2;  // minimum blocks per SM: without it nvcc caps registers and spills

// Sizes, in floats, for images of one shape.
struct CellLayout {
  int height, width;

  JAXTV_HD int Length(int axis) const { return axis == 0 ? height : width; }
  JAXTV_HD int Across(int axis) const { return axis == 0 ? width : height; }
  JAXTV_HD int Longer() const { return height > width ? height : width; }

  // Threads of an image. Up to a warp, a power of two, so that no image belongs to two warps.
  JAXTV_HD int Lanes() const {
    if (Longer() > 32) return Longer();
    int lanes = 1;
    while (lanes < Longer()) lanes *= 2;
    return lanes;
  }

  JAXTV_HD int Pitch() const { return kCell * (width | 1); }  // from row to row
  JAXTV_HD int Area() const { return Staggered(height * Pitch()); }

  // Words of a line along an axis, of all lines in one half sweep, and of an image in a plane.
  JAXTV_HD int Words(int axis) const { return (Length(axis) + kCodesOfWord - 1) / kCodesOfWord; }
  JAXTV_HD int HalfWords() const {
    const int columns = Words(0) * Across(0), rows = Words(1) * Across(1);
    return columns > rows ? columns : rows;
  }
  JAXTV_HD int PlaneWords() const { return Staggered(int(kCodesPerByte) * HalfWords()); }

  // Of a block with so many images: their cells, their words, and 1 / d up to the longer side.
  JAXTV_HD int64_t Floats(int images) const {
    return int64_t(images) * (Area() + PlaneWords()) + Longer() + 1;
  }

 private:
  JAXTV_HD static int Staggered(int words) { return (words + 3) / 8 * 8 + 4; }  // 4 (mod 8)
};

// The block's images, and the thread's part in them.
class CellTile {
 public:
  const CellLayout layout;
  const ImageTile origin;
  float* const inverses;

  __device__ CellTile(const SweepImages& images, int per_tile, float* shared)
      : layout({images.height, images.width}),
        origin(images, per_tile),
        inverses(shared + per_tile * (layout.Area() + layout.PlaneWords())),
        words_(shared + per_tile * layout.Area()),
        cells_(shared),
        image_(int(threadIdx.x) / layout.Lanes()),
        number_(int(threadIdx.x) % layout.Lanes()),
        channel_(int(threadIdx.x) % per_tile),
        column_(int(threadIdx.x) / per_tile) {}

  // inverses[d] = 1 / d. Visible behind the next barrier.
  __device__ void WriteInverses() const {
    for (int d = threadIdx.x; d <= layout.Longer(); d += blockDim.x) {
      inverses[d] = 1.0f / float(d);
    }
  }

  // Whether no image belongs to two warps.
  __device__ bool InWarps() const { return layout.Longer() <= 32; }

  // A barrier between half sweeps, for the threads that have images in common.
  __device__ void Meet() const {
    if (InWarps()) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }

  // The thread's line along an axis: whether it has one, its number in the array, its first cell,
  // and its first word in half sweep `half`. From word to word there are Across(axis) others.
  __device__ bool HasLine(int axis) const {
    return image_ < origin.count && number_ < layout.Across(axis);
  }
  __device__ int64_t LineNumber(int axis) const { return origin.NumberOf(axis, image_, number_); }
  __device__ float* FirstCell(int axis) const {
    return cells_ + image_ * layout.Area() + number_ * (axis == 0 ? kCell : layout.Pitch());
  }
  __device__ int Stride(int axis) const { return axis == 0 ? layout.Pitch() : kCell; }
  __device__ float* FirstWord(int half) const {
    return WordsOf(image_) + half % kCodesPerByte * layout.HalfWords() + number_;
  }

  // The thread's pixels: those in one column of image Channel(). Calls visit(cell, place) for each,
  // from the first row on, with its place in the sample that begins at `sample`.
  __device__ int Channel() const { return channel_; }
  template <typename T, typename Visit>
  __device__ void ForPixels(T* sample, const Visit& visit) const {
    if (!HasPixels()) return;
    const int64_t row = RowInArray();
    T* place = sample + FirstInArray();
    float* cell = cells_ + channel_ * layout.Area() + column_ * kCell;
#pragma unroll 8
    for (int i = 0; i < layout.height; ++i) {
      visit(cell, *place);
      cell += layout.Pitch();
      place += row;
    }
  }

  // Writes the codes of the thread's pixels to a plane of the sample, those of `halves` half
  // sweeps, two or four.
  __device__ void StoreCodes(int halves, uint8_t* plane) const {
    if (!HasPixels()) return;
    const bool full = halves == kCodesPerByte, height_first = origin.images.first_axis == 0;
    // Bits of a byte of the two half sweeps along the height, the first of them, and the width.
    const unsigned of_height = height_first ? 0x33 : 0xcc;
    const int place = height_first ? 0 : 2, row_place = 2 - place;
    const float* const words = WordsOf(channel_);
    const float* columns = words + (height_first ? 0 : layout.HalfWords()) + column_;
    const float* rows =
        words + (height_first ? layout.HalfWords() : 0) + column_ / kCodesOfWord * layout.height;
    const int second = 2 * layout.HalfWords(), in_word = column_ % kCodesOfWord * 2;
    const int64_t row = RowInArray();
    uint8_t* to = plane + FirstInArray();
    for (int first = 0; first < layout.height; first += kCodesOfWord) {
      unsigned low = RotatedRight(WordAt(columns), -place);
      unsigned high = full ? RotatedRight(WordAt(columns + second), -place - 4) : 0;
      columns += layout.width;
      const int left = layout.height - first, count = left < kCodesOfWord ? left : kCodesOfWord;
#pragma unroll 8
      for (int i = 0; i < count; ++i) {
        const unsigned row_low = RotatedRight(WordAt(rows), in_word - row_place);
        const unsigned row_high =
            full ? RotatedRight(WordAt(rows + second), in_word - row_place - 4) : 0;
        *to = uint8_t(Chosen(of_height, Chosen(0xf, low, high), Chosen(0xf, row_low, row_high)));
        low = RotatedRight(low, 2);
        high = RotatedRight(high, 2);
        ++rows;
        to += row;
      }
    }
  }

 private:
  __device__ bool HasPixels() const { return channel_ < origin.count && column_ < layout.width; }
  __device__ int64_t RowInArray() const {
    return origin.images.between * origin.images.width * origin.images.inner;
  }
  __device__ int64_t FirstInArray() const {
    return origin.offset + column_ * origin.images.inner + channel_;
  }
  __device__ float* WordsOf(int image) const { return words_ + image * layout.PlaneWords(); }
  __device__ static unsigned WordAt(const float* place) { return __float_as_uint(*place); }
  __device__ static unsigned RotatedRight(unsigned word, int bits) {
    return __funnelshift_r(word, word, unsigned(bits));
  }
  // Bits of `a` where those of the mask are set, of `b` elsewhere.
  __device__ static unsigned Chosen(unsigned mask, unsigned a, unsigned b) {
    return b ^ ((a ^ b) & mask);
  }

  float *const words_, *const cells_;
  const int image_, number_;
  const int channel_, column_;
};

template <typename... Parameters, typename... Arguments>
Status LaunchInStep(const char* name, void (*kernel)(const SweepImages, const int, Parameters...),
                    cudaStream_t stream, const SweepImages& images, int per_tile,
                    const Arguments&... arguments) {
  const CellLayout layout{images.height, images.width};
  const size_t bytes = size_t(layout.Floats(per_tile)) * sizeof(float);
  const int threads = int(CeilDiv(per_tile * layout.Lanes(), 32) * 32);
  const int64_t blocks = images.outer * images.between * CeilDiv(images.inner, per_tile);
  return Launch(name, kernel, Grid{blocks, threads, bytes, stream}, images, per_tile, arguments...);
}

}  // namespace
}  // namespace jaxtv::cuda
