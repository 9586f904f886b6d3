// SPDX-License-Identifier: MIT
#include "cuda/common/launch.h"
#include "cuda/common/shared_memory.h"
#include "cuda/images/chip_certificate.h"
#include "cuda/images/chip_sweep.h"
#include "cuda/images/solve_on_chip.h"
#include "cuda/lines/kernel_choice.h"

namespace jaxtv::cuda {
namespace {

// The threads of a block walk on lines of no more samples than a thread each solves anywhere.
constexpr int64_t kMaxSide = kShortLine;
static_assert(kMaxSide <= kChipThreads, "a thread for each line");

// Of more images, kernels on all of them keep the device busy with walks, while in a block here
// one or two warps of eight walk.
constexpr int64_t kMaxImages = 1024;

constexpr int kChipBlocks = 2;  // on a multiprocessor, as registers allow

// Besides ChipSpace: the scans of BeforePart and what the kernel has of its image.
constexpr int64_t kStaticBytes = 17 * 1024;

// The numbers of the block's image, and what a test finds.
struct OwnNumbers {
  float gap, bound, momentum, energy, moved, near, beta;
  int count, due, vain, sweeping;
  bool active;
  float found_gap, found_bound, before;
  int better, union_wanted;
};

__device__ ImageNumbers<float> NumbersOf(const ImageNumbers<float>& all, int64_t i,
                                         OwnNumbers* own) {
  return {all.target + i,      all.rounding + i, all.max_sweeps + i, all.first_test + i,
          all.first_union + i, &own->gap,        &own->bound,        &own->momentum,
          &own->energy,        &own->moved,      &own->near,         &own->count,
          &own->due,           &own->vain,       &own->active,       &own->sweeping,
          &own->beta};
}

__device__ void StoreNumbers(const OwnNumbers& own, int64_t i, const ImageNumbers<float>& all) {
  all.gap[i] = own.gap;
  all.bound[i] = own.bound;
  all.momentum[i] = own.momentum;
  all.energy[i] = own.energy;
  all.moved[i] = own.moved;
  all.near[i] = own.near;
  all.count[i] = own.count;
  all.due[i] = own.due;
  all.vain[i] = own.vain;
  all.active[i] = own.active;
}

// Tries a point, and takes it if it is wanted and better; by vote first. Without a second point to
// try, decides whether the image goes on.
__device__ void Try(const ChipCertificate& certificate, bool vote, const ImageNumbers<float>& n,
                    OwnNumbers* own, float* y) {
  certificate.Candidate(vote, &own->found_gap, &own->found_bound);
  if (threadIdx.x == 0) {
    const Findings<float> found{&own->found_gap, &own->found_bound, &own->before, &own->better};
    if (vote) own->before = own->bound;
    const bool wanted = vote ? own->active && own->bound > *n.target : WantsUnion(n, 0);
    Judge(n, found, wanted, 0);
    own->union_wanted = vote && WantsUnion(n, 0);
    if (!own->union_wanted) Conclude(n, own->before, 0);
    own->sweeping = n.Unfinished(0);
  }
  __syncthreads();
  if (own->better) certificate.ForSamples([&](int at) { y[at] = certificate.space.point[at]; });
}

__global__ void __launch_bounds__(kChipThreads, kChipBlocks)
    SolveChip(const __grid_constant__ ChipImages images) {
  JAXTV_DYNAMIC_SHARED(unsigned char, shared);
  __shared__ OwnNumbers own;
  const int height = images.height, width = images.width;
  const int64_t i = blockIdx.x, first = i * height * width;
  const ImageNumbers<float> n = NumbersOf(images.numbers, i, &own);
  const ChipSpace space(shared, height, width);
  const ChipAxis &of_columns = images.axes[0], &of_rows = images.axes[1];
  const float* const x = images.x + first;
  float *const y = images.y + first, *const previous = images.previous + first;
  float* const results[2] = {of_columns.result + first, of_rows.result + first};
  float* const duals[2] = {of_columns.dual + first, of_rows.dual + first};
  const SweptImages<float> nowhere{nullptr, nullptr, nullptr};
  const ChipSweep sweep{
      height,
      width,
      space,
      {{nowhere, x, duals[1], previous, space.input, results[0], duals[0], nullptr},
       {nowhere, results[0], duals[1], previous, nullptr, results[1], duals[1], previous}},
      n};
  const ChipCertificate certificate{{LinesOnChip(height, width, 0), LinesOnChip(height, width, 1)},
                                    space,
                                    x,
                                    {results[0], results[1]},
                                    {duals[0], duals[1]},
                                    images.rounding};

  certificate.ForSamples([&](int at) {
    y[at] = x[at];
    duals[0][at] = of_columns.start[first + at];
    duals[1][at] = previous[at] = of_rows.start[first + at];
  });
#pragma unroll
  for (int a = 0; a < 2; ++a) {
    const ChipAxis& axis = images.axes[a];
    const int lines = a == 0 ? width : height;
    if (int(threadIdx.x) >= lines) continue;
    space.weights[a][threadIdx.x] = *axis.weights.At(axis.lam, i * lines + threadIdx.x).data;
  }
  const int longest = height > width ? height : width;
  for (int d = threadIdx.x; d <= longest; d += kChipThreads) space.inverses[d] = 1.0f / float(d);
  if (threadIdx.x == 0) {
    StartImage(n, 0);
    own.sweeping = n.Unfinished(0);
  }
  __syncthreads();
  while (own.active) {
    while (own.sweeping) sweep.Run();
    certificate.Update();
    bool vote = true;
    do {
      Try(certificate, vote, n, &own, y);
      vote = false;
    } while (own.union_wanted);
  }
  if (threadIdx.x == 0) StoreNumbers(own, i, images.numbers);
}

}  // namespace

bool SolvedOnChip(const SolveOperands<float>& operands) {
  const auto& axes = operands.axes;
  if (axes.size() != 2 || operands.images > kMaxImages) return false;
  const int64_t height = axes[0].lines.length, width = axes[1].lines.length;
  const bool in_one_piece = axes[0].lines.inner == width && axes[1].lines.inner == 1;
  const bool one_weight = axes[0].weights.edge_stride == 0 && axes[1].weights.edge_stride == 0;
  if (!in_one_piece || !one_weight || height > kMaxSide || width > kMaxSide) return false;
  const int64_t bytes = int64_t(ChipSpace(nullptr, int(height), int(width)).bytes);
  return bytes + kStaticBytes <= SharedMemoryOfDevice(cudaDevAttrMaxSharedMemoryPerBlockOptin);
}

Status SolveOnChip(cudaStream_t stream, const SolveOperands<float>& operands) {
  const auto& axes = operands.axes;
  ChipImages images{
      int(axes[0].lines.length), int(axes[1].lines.length), operands.x,       operands.y, {},
      axes[1].previous,          operands.numbers,          GapRounding(axes)};
  for (int a = 0; a < 2; ++a) {
    const SolvedAxis<float>& axis = axes[size_t(a)];
    images.axes[a] = {axis.weights, axis.lam, operands.start[size_t(a)], axis.result, axis.dual};
  }
  const size_t bytes = ChipSpace(nullptr, images.height, images.width).bytes;
  return Launch("SolveChip", SolveChip, Grid{operands.images, kChipThreads, bytes, stream}, images);
}

}  // namespace jaxtv::cuda
