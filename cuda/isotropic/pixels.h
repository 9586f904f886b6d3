// SPDX-License-Identifier: MIT
// The pixels of a region, and which thread of its block takes them.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/isotropic/tiling.h"

namespace jaxtv::cuda {
namespace {

// A pixel of a region.
template <int kAxes>
struct Pixel {
  int index;  // in a plane
  int place;  // in a channel of the image
  int at[kAxes];
  int before[kAxes], after[kAxes];  // from the index to those of its neighbours; 0 for none
  unsigned edges;                   // bit a: there is an edge to the pixel after it along axis a
  bool outside;                     // of the image
  bool inner;                       // the block writes it
};

// The region of a block.
template <int kAxes>
class Region {
 public:
  __device__ Region(const Tiling& tiling, bool periodic, int number)
      : tiling_(tiling), periodic_(periodic) {
#pragma unroll
    for (int a = kAxes - 1; a >= 0; --a) {
      const TilingAxis& axis = tiling.axis[a];
      first_[a] = number % axis.count * axis.inner() - axis.halo;
      number /= axis.count;
    }
  }

  // Calls f for the pixels of this thread.
  template <typename F>
  __device__ void ForPixels(const F& f) const {
    const int width = tiling_.axis[kAxes - 1].size, rows = tiling_.pixels() / width;
    int row_threads = 1;  // a power of two, so that a warp takes whole rows
    while (row_threads < width && 2 * row_threads <= int(blockDim.x)) row_threads *= 2;
    if (rows == 1) row_threads = int(blockDim.x);
    const int step = int(blockDim.x) / row_threads;
    for (int row = int(threadIdx.x) / row_threads; row < rows; row += step) {
      Pixel<kAxes> start{0, 0, {}, {}, {}, 0u, false, true};
      int rest = row, in_plane = width, in_image = tiling_.axis[kAxes - 1].length;
#pragma unroll
      for (int a = kAxes - 2; a >= 0; --a) {
        Add(a, rest % tiling_.axis[a].size, in_plane, in_image, &start);
        rest /= tiling_.axis[a].size;
        in_plane *= tiling_.axis[a].size;
        in_image *= tiling_.axis[a].length;
      }
      for (int i = int(threadIdx.x) % row_threads; i < width; i += row_threads) {
        Pixel<kAxes> pixel = start;
        Add(kAxes - 1, i, 1, 1, &pixel);
        f(pixel);
      }
    }
  }

 private:
  // Puts a pixel at position i of the region along an axis.
  __device__ void Add(int a, int i, int in_plane, int in_image, Pixel<kAxes>* pixel) const {
    const TilingAxis& axis = tiling_.axis[a];
    const bool last = i + 1 == axis.size, ring = periodic_ && axis.whole();
    int at = first_[a] + i;
    pixel->inner =
        pixel->inner && i >= axis.halo && i < axis.halo + axis.inner() && at < axis.length;
    const bool edge = periodic_ || (at >= 0 && at + 1 < axis.length);
    pixel->edges |= unsigned(edge) << a;
    pixel->after[a] = !last ? in_plane : ring ? -i * in_plane : 0;
    pixel->before[a] = i > 0 ? -in_plane : ring ? (axis.size - 1) * in_plane : 0;
    if (periodic_) at = (at + axis.length) % axis.length;
    pixel->outside = pixel->outside || at < 0 || at >= axis.length;
    pixel->at[a] = at;
    pixel->index += i * in_plane;
    pixel->place += at * in_image;
  }

  const Tiling& tiling_;
  const bool periodic_;
  int first_[kAxes];
};

}  // namespace
}  // namespace jaxtv::cuda
