// SPDX-License-Identifier: MIT
// The reverse of a half sweep along lines (core/sweeps.h): v, what the other axis has given so far
// less what this one has, is averaged over runs and added to the latter.
#include "cuda/common/launch.h"
#include "cuda/images/sweeps_by_lines.h"
#include "cuda/lines/batches.h"
#include "cuda/lines/warp_pull_back.h"

namespace jaxtv::cuda {
namespace {

// Runs that end where the codes of a line say so, which `cells` has, as bits of its numbers. Where
// there is no prox there is no derivative.
template <typename Shape>
struct RunsOfCodes {
  typename Shape::Bits starts = 0, falls = 0, rises = 0;
  bool untied;

  __device__ RunsOfCodes(int n, PulledCells<Shape>& cells) {
    using Bits = typename Shape::Bits;
    const int first = FirstOfLane<Shape>();
    const int whole = CodeAt(cells, n - 1);
    untied = whole == kFree;
    int before = first > 0 && first < n ? CodeAt(cells, first - 1) : int(kCut);
#pragma unroll
    for (int k = 0; k < Shape::kSamples; ++k) {
      const bool inside = first + k < n;
      starts = starts << 1 | Bits(inside && before != kTied);
      falls = falls << 1 | Bits(inside && before == kDown);
      rises = rises << 1 | Bits(inside && before == kUp);
      if (!inside) continue;
      const int cell = Shape::Cell(first + k);
      if (whole == kBad) cells.v[cell] = NoDerivative(cells.v[cell]);
      before = CodeAt(cells, first + k);
    }
  }

  __device__ float Slope(int k, float before, float behind) const {
    const float step = behind - before;
    return Shape::Has(falls, k) ? step : Shape::Has(rises, k) ? -step : step * 0.0f;
  }

 private:
  __device__ static int CodeAt(const PulledCells<Shape>& cells, int sample) {
    return __float_as_int(cells.runs[Shape::Cell(sample)]);
  }
};

// What the axes have given so far: this one, unless this is its first turn, and the other one.
struct Given {
  float *own, *lam_bar;
  const float* other;
  bool is_new;

  __device__ float Own(int64_t at) const { return is_new ? 0.0f : own[at]; }
  __device__ float LamBar(int64_t line) const { return is_new ? 0.0f : lam_bar[line]; }
};

// What the reverse of a half sweep reads of a pixel.
struct Coded {
  float own, other;
  int code;
};

template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    ReverseHalfSweep(const __grid_constant__ HalfSweep half, const __grid_constant__ Given given,
                     const uint8_t* __restrict__ bits) {
  JAXTV_DYNAMIC_SHARED(PulledCells<Shape>, cells);
  const WarpLines<Shape> own(half.Along());
  const int n = int(own.lines.length), shift = half.Shift();
  PulledCells<Shape>& copied = cells[own.slot];
  if (own.copied < own.lines.count()) {
    const uint8_t* const codes = half.Codes(bits, own.begin);
    InBatches(
        own,
        [&](int i) {
          const int64_t at = own.At(i);
          return Coded{given.Own(at), given.other[at], codes[at] >> shift & 3};
        },
        [&](int i, const Coded& pixel) {
          copied.v[own.Slot(i)] = pixel.other - pixel.own;
          copied.runs[own.Slot(i)] = __int_as_float(pixel.code);
        });
  }
  own.Synchronize();
  if (own.HasLine()) {
    PulledCells<Shape>& line = cells[threadIdx.x / Shape::kLanes];
    const RunsOfCodes<Shape> runs(n, line);
    const float slope = WarpPullBack<Shape, RunsOfCodes<Shape>>(n, runs, line).Run(runs.untied);
    if (threadIdx.x % Shape::kLanes == 0) {
      given.lam_bar[own.line] = given.LamBar(own.line) + slope;
    }
  }
  own.Synchronize();
  InBatches(
      own, [&](int i) { return given.Own(own.At(i)); },
      [&](int i, float total) { given.own[own.At(i)] = total + copied.v[own.Slot(i)]; });
}

}  // namespace

Status SweepsReverseByLines(cudaStream_t stream, const SweepImages& images, const float* y_bar,
                            const uint8_t* bits, float* x_bar, float* const (&lam_bar)[2],
                            float* second) {
  Status status;
  HalfSweep half{images, 2 * images.num_sweeps - 1};
  for (; half.number >= 0 && status.error == cudaSuccess; --half.number) {
    const bool of_first = half.number % 2 == 0;
    Given given{of_first ? x_bar : second, lam_bar[half.Axis()], of_first ? second : x_bar,
                half.number >= half.Count() - 2};
    if (half.IsLast()) given.other = y_bar;
    status = LaunchByWarps<float>(half.Along().length, [&](auto shape) {
      using Shape = decltype(shape);
      constexpr size_t kBytes = Shape::kWarps * sizeof(PulledCells<Shape>);
      const Grid grid{CeilDiv(half.Along().count(), Shape::kWarps), Shape::kThreads, kBytes,
                      stream};
      return Launch("ReverseHalfSweep", ReverseHalfSweep<Shape>, grid, half, given, bits);
    });
  }
  return status;
}

}  // namespace jaxtv::cuda
