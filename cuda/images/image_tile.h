// SPDX-License-Identifier: MIT
// The images that a block keeps in shared memory: which they are, and how sweeps.cu lays them out.
#pragma once

#include <cstdint>

#include "core/line.h"
#include "cuda/images/sweeps.h"

namespace jaxtv::cuda {
namespace {

struct ImageTile {
  const SweepImages& images;
  int count;         // images of the block
  int area, stride;  // of an image in shared memory, and of its rows
  int64_t sample;    // the sample that they belong to
  int64_t offset;    // of their first pixel in it

  __device__ ImageTile(const SweepImages& all, int per_tile) : images(all) {
    const int64_t tiles = (all.inner + per_tile - 1) / per_tile;
    const int64_t first = int64_t(blockIdx.x) % tiles * per_tile;
    const int64_t group = int64_t(blockIdx.x) / tiles;
    count = int(all.inner - first < per_tile ? all.inner - first : per_tile);
    stride = all.width | 1;
    area = all.height * stride;
    sample = group / all.between;
    offset = group % all.between * all.width * all.inner + first;
  }

  // The lines of all images along an axis are numbered. Row is the line in shared memory, Number
  // its number among all lines of the array, and OfImage the number of column or row `r` of image
  // `c`.
  __device__ int LinesAlong(int axis) const {
    return count * (axis == 0 ? images.width : images.height);
  }
  __device__ int OfImage(int axis, int c, int r) const {
    return c * (axis == 0 ? images.width : images.height) + r;
  }
  template <typename T>
  __device__ Line<T> Row(int axis, int line, T* shared) const {
    const int per_image = axis == 0 ? images.width : images.height;
    T* const image = shared + line / per_image * area;
    const int r = line % per_image;
    return axis == 0 ? Line<T>{image + r, stride} : Line<T>{image + r * stride, 1};
  }
  __device__ int64_t Number(int axis, int line) const {
    const int per_image = axis == 0 ? images.width : images.height;
    return NumberOf(axis, line / per_image, line % per_image);
  }
  // The number in the array of column or row `r` of image `c`.
  __device__ int64_t NumberOf(int axis, int c, int r) const {
    const int64_t column = images.between * images.width * images.inner;
    if (axis == 0) return sample * column + offset + int64_t(r) * images.inner + c;
    const int64_t group = offset / (images.width * images.inner);
    const int64_t channel = offset % (images.width * images.inner) + c;
    return ((sample * images.height + r) * images.between + group) * images.inner + channel;
  }

  // Calls visit(i, j, c, slot, at) for each pixel (i, j) of image c, at `slot` of the shared array
  // and at `at` of the sample. A thread always gets the same pixels.
  template <typename Visit>
  __device__ void ForPixels(const Visit& visit) const {
    const int64_t row = images.between * images.width * images.inner;
    const int threads = blockDim.x, width = images.width;
    const int dc = threads % count, dj = threads / count % width, di = threads / count / width;
    int c = int(threadIdx.x) % count, j = int(threadIdx.x) / count % width;
    int i = int(threadIdx.x) / count / width;
    while (i < images.height) {
      visit(i, j, c, c * area + i * stride + j, offset + i * row + j * images.inner + c);
      c += dc;
      j += dj;
      i += di;
      if (c >= count) {
        c -= count;
        ++j;
      }
      if (j >= width) {
        j -= width;
        ++i;
      }
    }
  }
};

}  // namespace
}  // namespace jaxtv::cuda
