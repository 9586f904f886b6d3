// SPDX-License-Identifier: MIT
#include "cuda/common/launch.h"
#include "cuda/common/shared_address.h"
#include "cuda/common/shared_memory.h"
#include "cuda/images/chip_certificate.h"
#include "cuda/images/chip_sweep.h"
#include "cuda/images/search_steps.h"
#include "cuda/images/solve_on_chip.h"
#include "cuda/lines/kernel_choice.h"

namespace jaxtv::cuda {
namespace {

// The threads of a block walk on lines of no more samples than a thread each solves anywhere.
constexpr int64_t kMaxSide = kShortLine;
static_assert(kMaxSide <= kChipThreads, "a thread for each line");

// Of more images, kernels on all of them keep the device busy with walks, while in a block here
// one or two warps of eight walk. By benchmarks/gpu_model.py, of an H200, those are faster from
// some 1000 images on of which a multiprocessor has two at a time, and from some 200 larger ones.
constexpr int64_t kMaxImages = 1024, kMaxLargeImages = 256;

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

// The block's image. Each step computes again where things are: to hold all of it throughout would
// take too many registers.
struct OwnImage {
  const ChipImages& images;
  unsigned char* shared;
  OwnNumbers& own;

  __device__ int64_t Number() const { return blockIdx.x; }
  __device__ int64_t First() const { return Number() * Kept(images.height) * images.width; }
  __device__ ChipSpace Space() const {
    return ChipSpace(shared, Kept(images.height), images.width);
  }

  __device__ ImageNumbers<float> Numbers() const {
    const ImageNumbers<float>& all = images.numbers;
    const int64_t i = Number();
    return {all.target + i,
            all.rounding + i,
            all.max_sweeps + i,
            all.first_test + i,
            all.first_union + i,
            &own.gap,
            &own.bound,
            &own.momentum,
            &own.energy,
            &own.moved,
            &own.near,
            &own.count,
            &own.due,
            &own.vain,
            &own.active,
            &own.sweeping,
            &own.beta};
  }

  __device__ void Start() const {
    const ChipSpace space = Space();
    const int64_t pixels = int64_t(images.height) * images.width, first = First();
    for (int64_t at = first + threadIdx.x; at < first + pixels; at += kChipThreads) {
      images.y[at] = images.x[at];
      images.axes[0].dual[at] = images.axes[0].start[at];
      images.axes[1].dual[at] = images.previous[at] = images.axes[1].start[at];
    }
    CopyWeights(images.axes[0], images.width, space.weights[0]);
    CopyWeights(images.axes[1], images.height, space.weights[1]);
    const int longest = images.height > images.width ? images.height : images.width;
    for (int d = threadIdx.x; d <= longest; d += kChipThreads) space.inverses[d] = 1.0f / float(d);
    if (threadIdx.x == 0) {
      StartImage(Numbers(), 0);
      own.sweeping = Numbers().Unfinished(0);
    }
    __syncthreads();
  }

  __device__ void Sweep() const {
    const ChipSpace space = Space();
    const int64_t first = First();
    const SweptImages<float> nowhere{nullptr, nullptr, nullptr};
    const float *const x = images.x + first, *const of_columns = images.axes[0].result + first;
    float *const dual = images.axes[1].dual + first, *const previous = images.previous + first;
    const SweptAxis<float> axes[2] = {
        {nowhere, x, dual, previous, space.input, images.axes[0].result + first,
         images.axes[0].dual + first, nullptr},
        {nowhere, of_columns, dual, previous, nullptr, images.axes[1].result + first, dual,
         previous}};
    const SweepSums total = SweepOnChip({images.height, images.width, space}, axes, own.beta);
    if (threadIdx.x == 0) EndSweep(Numbers(), total, false, 0);
    __syncthreads();
  }

  // Tries the point by vote, and the one from all equalities if the image wants it.
  __device__ void Test() const {
    Certificate().Update();
    bool vote = true;
    do {
      Try(vote);
      vote = false;
    } while (own.union_wanted);
  }

  __device__ void Store() const {
    if (threadIdx.x == 0) StoreNumbers(own, Number(), images.numbers);
  }

 private:
  __device__ void CopyWeights(const ChipAxis& axis, int lines, float* weights) const {
    const int line = threadIdx.x;
    if (line >= lines) return;
    weights[line] = *axis.weights.At(axis.lam, Number() * lines + line).data;
  }

  __device__ ChipCertificate Certificate() const {
    const int64_t first = First();
    const int height = images.height, width = images.width;
    return {{LinesOnChip(height, width, 0), LinesOnChip(height, width, 1)},
            Space(),
            images.x + first,
            {images.axes[0].result + first, images.axes[1].result + first},
            {images.axes[0].dual + first, images.axes[1].dual + first},
            images.rounding};
  }

  // Takes a point if it is wanted and better. Without another one to try, decides whether the image
  // goes on.
  __device__ void Try(bool vote) const {
    const ChipCertificate certificate = Certificate();
    certificate.Candidate(vote, &own.found_gap, &own.found_bound);
    if (threadIdx.x == 0) {
      const ImageNumbers<float> n = Numbers();
      const Findings<float> found{&own.found_gap, &own.found_bound, &own.before, &own.better};
      if (vote) own.before = own.bound;
      Judge(n, found, own.bound > *n.target, 0);
      own.union_wanted = vote && WantsUnion(n, 0);
      if (!own.union_wanted) Conclude(n, own.before, 0);
      own.sweeping = n.Unfinished(0);
    }
    __syncthreads();
    if (!own.better) return;
    float* const y = images.y + First();
    certificate.ForSamples([&](int at) { y[at] = certificate.space.point[at]; });
  }
};

__global__ void __launch_bounds__(kChipThreads, kChipBlocks)
    SolveImagesOnChip(const __grid_constant__ ChipImages images) {
  JAXTV_DYNAMIC_SHARED(unsigned char, shared);
  __shared__ OwnNumbers own;
  const OwnImage image{images, shared, own};
  image.Start();
  while (own.active) {
    while (own.sweeping) image.Sweep();
    image.Test();
  }
  image.Store();
}

}  // namespace

bool SolvedOnChip(const SolveOperands<float>& operands) {
  const auto& axes = operands.axes;
  if (axes.size() != 2) return false;
  const int64_t height = axes[0].lines.length, width = axes[1].lines.length;
  const bool in_one_piece = axes[0].lines.inner == width && axes[1].lines.inner == 1;
  const bool one_weight = axes[0].weights.edge_stride == 0 && axes[1].weights.edge_stride == 0;
  if (!in_one_piece || !one_weight || height > kMaxSide || width > kMaxSide) return false;
  const int64_t bytes = int64_t(ChipSpace(nullptr, int(height), int(width)).bytes) + kStaticBytes;
  const bool small = 2 * bytes <= SharedMemoryOfDevice(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  return operands.images <= (small ? kMaxImages : kMaxLargeImages) &&
         bytes <= SharedMemoryOfDevice(cudaDevAttrMaxSharedMemoryPerBlockOptin);
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
  return Launch("SolveImagesOnChip", SolveImagesOnChip,
                Grid{operands.images, kChipThreads, bytes, stream}, images);
}

}  // namespace jaxtv::cuda
