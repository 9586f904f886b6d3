// SPDX-License-Identifier: MIT
// The arrangement and the solves of tv1d_in_step.cu and tv1d_warp.cu, between Input and Finish of
// swept_axis.h.
#include "cuda/common/launch.h"
#include "cuda/images/sweep_lines.h"
#include "cuda/lines/batches.h"
#include "cuda/lines/kernel_choice.h"
#include "cuda/lines/staged_lines.h"
#include "cuda/lines/warp_prox.h"

namespace jaxtv::cuda {
namespace {

// A sample with its image.
struct Taken {
  OfImage<float> image;
  SweptSample<float> sample;
};

// The terms of a line take the places of its samples and slots.
template <typename Layout>
__global__ void __launch_bounds__(kWarp, kLineBlocks)
    SweepWalk(const Lines lines, const int per_tile, const __grid_constant__ WeightLayout weights,
              const float* __restrict__ lam, const __grid_constant__ SweptAxis<float> axis,
              SweepSums* __restrict__ sums) {
  JAXTV_DYNAMIC_SHARED(float, samples);
  const Layout tile(lines, per_tile);
  const int n = int(lines.length), cells = tile.Cells(), first = tile.First();
  float* const slots = samples + cells;
  float* const inverses = slots + cells;
  const auto image_of = [&](int64_t at) { return axis.images.Of(at); };
  WriteInverses(inverses, n);
  InBatches(
      tile,
      [&](int i) {
        const int64_t at = tile.At(i);
        return Taken{image_of(at), axis.Read(at)};
      },
      [&](int i, const Taken& taken) {
        if (!taken.image.sweeping) return;
        samples[tile.Slot(i)] = axis.Input(taken.image, taken.sample, tile.At(i));
      });
  Clear(slots, cells);
  __syncthreads();
  const int64_t line = tile.first + threadIdx.x;
  const bool swept = int(threadIdx.x) < tile.count && image_of(lines.First(line)).sweeping;
  if (swept) {
    const SlottedLine<Floats<Layout::kStep>> own{samples + first, slots + first, {}};
    SolveInStep(own, inverses, weights.At(lam, line), n, {slots + first, Layout::kStep});
  }
  __syncthreads();
  InBatches(
      tile,
      [&](int i) {
        const int64_t at = tile.At(i);
        return Taken{image_of(at), axis.ReadAgain(at)};
      },
      [&](int i, const Taken& taken) {
        if (!taken.image.sweeping) return;
        const int64_t at = tile.At(i);
        const int slot = tile.Slot(i);
        const float y = slots[slot];
        axis.result[at] = y;
        const SweepTerms<float> terms = axis.Finish(taken.image, taken.sample, at, y);
        samples[slot] = terms.against;
        slots[slot] = terms.apart;
      });
  if (sums == nullptr) return;
  __syncthreads();
  if (!swept) return;
  SweepSums total{0.0, 0.0, 0.0};
  for (int k = 0; k < n; ++k) {
    const int at = first + k * Layout::kStep;
    total = total.And(SweepTerms<float>{samples[at], slots[at], 0.0f});
  }
  sums[line] = total;
}

template <typename Shape>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    SweepWarps(const Lines lines, const __grid_constant__ WeightLayout weights,
               const float* __restrict__ lam, const __grid_constant__ SweptAxis<float> axis,
               SweepSums* __restrict__ sums) {
  JAXTV_DYNAMIC_SHARED(Space<Shape>, spaces);
  const WarpLines<Shape> own(lines);
  float* const copied = Cells(spaces[own.slot]);
  const auto image_of = [&](int64_t at) { return axis.images.Of(at); };
  OfImage<float> image{false, 0.0f};  // of the line that this thread copies
  if (own.copied < lines.count()) image = image_of(own.begin);
  if (image.sweeping) {
    InBatches(
        own, [&](int i) { return axis.Read(own.At(i)); },
        [&](int i, const SweptSample<float>& sample) {
          copied[own.Slot(i)] = axis.Input(image, sample, own.At(i));
        });
  }
  own.Synchronize();
  if (own.HasLine() && image_of(lines.First(own.line)).sweeping) {
    SolveByWarp(weights.At(lam, own.line), int(lines.length), spaces[threadIdx.x / Shape::kLanes]);
  }
  own.Synchronize();
  SweepTerms<float> mine{0.0f, 0.0f, 0.0f};  // of at most 64 samples: float suffices
  if (image.sweeping) {
    InBatches(
        own, [&](int i) { return axis.ReadAgain(own.At(i)); },
        [&](int i, const SweptSample<float>& sample) {
          const int64_t at = own.At(i);
          const float y = copied[own.Slot(i)];
          axis.result[at] = y;
          const SweepTerms<float> terms = axis.Finish(image, sample, at, y);
          mine.against += terms.against;
          mine.apart += terms.apart;
        });
  }
  if (sums == nullptr) return;
  const SweepSums total = own.OverLine(SweepSums{0.0, 0.0, 0.0}.And(mine));
  if (own.IsFirst()) sums[own.copied] = total;
}

template <typename Layout>
Status LaunchWalk(cudaStream_t stream, const Lines& lines, int per_tile,
                  const WeightLayout& weights, const float* lam, const SweptAxis<float>& axis,
                  SweepSums* sums) {
  return Launch("SweepWalk", SweepWalk<Layout>, WalkGrid(lines, per_tile, stream), lines, per_tile,
                weights, lam, axis, sums);
}

bool InStep(const Lines& lines, const WeightLayout& weights) {
  return SolvedInStep(ChooseKernel(lines, sizeof(float)), lines, weights);
}

}  // namespace

bool SweptInOneLaunch(const Lines& lines, const WeightLayout& weights) {
  return InStep(lines, weights) || SolvedByWarps(lines, weights);
}

Status SweepLines(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                  const float* lam, const SweptAxis<float>& axis, SweepSums* sums) {
  if (InStep(lines, weights) && lines.inner >= kWarp) {
    return LaunchWalk<StagedColumns>(stream, lines, kWarp, weights, lam, axis, sums);
  }
  if (InStep(lines, weights)) {
    return LaunchWalk<StagedRows>(stream, lines, int(LinesPerTile(lines)), weights, lam, axis,
                                  sums);
  }
  return LaunchByWarps<float>(lines.length, [&](auto shape) {
    using Shape = decltype(shape);
    return Launch("SweepWarps", SweepWarps<Shape>, WarpGrid<Shape>(lines, stream), lines, weights,
                  lam, axis, sums);
  });
}

}  // namespace jaxtv::cuda
