// SPDX-License-Identifier: MIT
#include <limits>

#include "cuda/common/launch.h"
#include "cuda/images/sweeps_by_lines.h"
#include "cuda/lines/batches.h"
#include "cuda/lines/warp_prox.h"

namespace jaxtv::cuda {
namespace {

struct Weights {
  WeightLayout layout;
  const float* lam;
};

// The image of a pixel, by its number and whether the pixel is the first one of it.
struct ImageOfPixel {
  int64_t number;
  bool at_first;

  __device__ ImageOfPixel(const SweepImages& images, int64_t at) {
    const int64_t group = images.width * images.inner, row = images.between * group;
    const int64_t in_sample = at % images.Pixels(), in_row = in_sample % row;
    const int64_t in_group = in_row % group, channel = in_group % images.inner;
    number = (at / images.Pixels() * images.between + in_row / group) * images.inner + channel;
    at_first = in_sample == in_row && in_group == channel;
  }
};

// What a half sweep reads of a pixel to finish it.
struct Unfinished {
  float x, z;
  int codes;  // of the half sweeps before
};

// Solves the lines of z, that is `y` as the half sweep before has left it, or `x`. Images start
// unspoilt, and in the last half sweep those with a NaN are spoilt.
template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    SolveHalfSweep(const __grid_constant__ HalfSweep half, const __grid_constant__ Weights weights,
                   const float* x, float* y, uint8_t* __restrict__ bits, int* __restrict__ spoilt) {
  JAXTV_DYNAMIC_SHARED(Space<Shape>, spaces);
  const WarpLines<Shape> own(half.Along());
  const int n = int(own.lines.length), shift = half.Shift();
  const float* const from = half.IsFirst() ? x : y;
  const float* const cells = Cells(spaces[own.slot]);
  own.Load(from, Cells(spaces[own.slot]));
  if (own.HasLine()) {
    SolveByWarp(weights.layout.At(weights.lam, own.line), n, spaces[threadIdx.x / Shape::kLanes]);
  }
  own.Synchronize();
  if (own.copied >= own.lines.count()) return;
  uint8_t* const codes = bits == nullptr ? nullptr : half.Codes(bits, own.begin);
  const bool untied = weights.layout.At(weights.lam, own.copied)[0] == 0.0f;
  bool bad = false;
  InBatches(
      own,
      [&](int i) {
        const int64_t at = own.At(i);
        const bool packed = codes != nullptr && shift != 0;
        return Unfinished{half.IsLast() ? 0.0f : x[at], from[at], packed ? codes[at] : 0};
      },
      [&](int i, const Unfinished& pixel) {
        const int64_t at = own.At(i);
        const float here = cells[own.Slot(i)], taken = pixel.z - here;
        const float next_z = taken == 0.0f ? pixel.x : pixel.x - taken;  // as on the CPU
        y[at] = half.IsLast() ? here : next_z;
        bad = bad || here != here;
        if (codes == nullptr) return;
        const int of_line = untied ? kFree : kPlain;
        const bool is_last = own.Sample(i) == n - 1;
        const int code = is_last ? of_line : int(CodeOf(here, cells[own.SlotBehind(i)]));
        codes[at] = uint8_t(pixel.codes | code << shift);
      });
  if (half.IsFirst() && own.IsFirst()) {
    const ImageOfPixel image(half.images, own.begin);
    if (image.at_first) spoilt[image.number] = 0;
  }
  if (half.IsLast() && bad) atomicExch(&spoilt[ImageOfPixel(half.images, own.begin).number], 1);
}

// Makes all of a spoilt image NaN, line by line along the axis of the last half sweep.
template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads)
    SpoilImages(const __grid_constant__ HalfSweep last, const int* __restrict__ spoilt,
                float* __restrict__ y, uint8_t* __restrict__ bits) {
  const WarpLines<Shape> own(last.Along());
  if (own.copied >= own.lines.count()) return;
  if (spoilt[ImageOfPixel(last.images, own.begin).number] == 0) return;
  for (int i = 0; i < own.Copies(); ++i) {
    y[own.At(i)] = std::numeric_limits<float>::quiet_NaN();
  }
  for (HalfSweep half = last; bits != nullptr && half.number >= 0; half.number -= kCodesPerByte) {
    uint8_t* const codes = half.Codes(bits, own.begin);
    for (int i = 0; i < own.Copies(); ++i) codes[own.At(i)] = kAllBad;
  }
}

}  // namespace

Status SweepsByLines(cudaStream_t stream, const SweepImages& images,
                     const WeightLayout (&weights)[2], const float* x, const float* const (&lam)[2],
                     float* y, uint8_t* bits, int* spoilt) {
  Status status;
  HalfSweep half{images, 0};
  for (; half.number < half.Count() && status.error == cudaSuccess; ++half.number) {
    const Weights along{weights[half.Axis()], lam[half.Axis()]};
    status = LaunchByWarps<float>(half.Along().length, [&](auto shape) {
      using Shape = decltype(shape);
      return Launch("SolveHalfSweep", SolveHalfSweep<Shape>, WarpGrid<Shape>(half.Along(), stream),
                    half, along, x, y, bits, spoilt);
    });
  }
  if (status.error != cudaSuccess) return status;
  --half.number;
  return LaunchByWarps<float>(half.Along().length, [&](auto shape) {
    using Shape = decltype(shape);
    Grid grid = WarpGrid<Shape>(half.Along(), stream);
    grid.shared_bytes = 0;
    return Launch("SpoilImages", SpoilImages<Shape>, grid, half, spoilt, y, bits);
  });
}

}  // namespace jaxtv::cuda
