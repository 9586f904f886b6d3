// SPDX-License-Identifier: MIT
// K sweeps over images in shared memory, a lane for each line, in step.
//
// A cell holds z, a slot for the level of a run that ends there (walk_in_step.h), and x. A half
// sweep walks along a line, which fills slots; then one pass from its end turns levels into y, z
// into x - (z - y), which is what the next half sweep solves, and y into codes, and clears the
// slots. There is no pass over pixels between half sweeps.
//
// Lines that no walk may solve (prox_in_step.h) are solved by core/tv1d.h, whose y takes all slots.
// As long as all samples are small and no zero is negative, every line is fit but for its weight.
// The pass finds out whether samples are small, and tells all lanes when they meet; from then on
// each lane looks at its line first.
#include <algorithm>

#include "core/run.h"
#include "core/tv1d.h"
#include "cuda/common/launch.h"
#include "cuda/common/shared_address.h"
#include "cuda/images/sweep_cells.h"
#include "cuda/images/sweeps_in_step.h"
#include "cuda/lines/prox_in_step.h"

namespace jaxtv::cuda {
namespace {

constexpr int kSlot = 1, kInput = 2;  // places in a cell; z is the first
constexpr Floats<kCell> kRowStride{};
constexpr int kMaxSideInStep = 128;
constexpr int64_t kOfBlock = 1024;  // bytes that a multiprocessor sets aside for each block

struct Weights {
  WeightLayout layout;
  const float* lam;
};

// The weight of a thread's line.
struct LineWeight {
  const float* place;
  float value;
};

__device__ LineWeight WeightAlong(const CellTile& tile, int axis, const Weights& weights) {
  if (!tile.HasLine(axis)) return {nullptr, 0.0f};
  const float* const place = weights.layout.At(weights.lam, tile.LineNumber(axis)).data;
  return {place, *place};
}

// A line of cells in shared memory, and its words of codes. Cells are `stride` floats apart.
struct CellLine {
  float* cells;
  float* words;
  int stride, between_words, n;
  LineWeight weight;

  __device__ float& Word(int k) const { return words[k / kCodesOfWord * between_words]; }
  __device__ Line<float> Slots() const { return {cells + kSlot, stride}; }
};

// Whether a walk may solve the line, whatever its weight.
__device__ bool FitForWalk(const CellLine& line) {
  bool fit = true;
  unsigned bits = 0;
  for (int k = 0; k < line.n; ++k) {
    const float z = line.cells[k * line.stride];
    fit = fit && fabsf(z) < kLargestInStep;
    bits |= __float_as_uint(z);
  }
  return fit && bits != __float_as_uint(-0.0f);
}

// Fills the line's slots with levels. False if the line is not solved.
template <bool kBudgeted, typename Stride>
__device__ bool Walk(const CellLine& line, Stride stride, const float* inverses) {
  LineWalk<SharedMemory, Stride, kBudgeted> walk(
      SharedMemory(), SharedMemory::AddressOf(line.cells), int(sizeof(float)) * kSlot, stride,
      SharedMemory::AddressOf(inverses), line.n, line.weight.value);
  while (!walk.AtEnd()) {
    walk.Step();
    if (walk.AtEnd()) break;
    walk.Step();
  }
  return walk.Finish() && line.weight.value >= kLeastWeight;
}

template <typename Stride>
__device__ bool WalkLine(const CellLine& line, Stride stride, const float* inverses) {
  return line.n <= kNeverOverBudget ? Walk<false>(line, stride, inverses)
                                    : Walk<true>(line, stride, inverses);
}

// From levels to codes, and to the samples of the next half sweep or, in the last one, to y.
// Returns the sum of their sizes. The sign of a difference tells how levels compare; without
// kMinusZero there is no -0 among samples, hence none among levels and differences.
template <bool kLast, bool kMinusZero, typename Stride>
__device__ float Fill(const CellLine& line, Stride stride) {
  constexpr int kFloat = sizeof(float);
  const auto no_minus_zero = [](float value) { return kMinusZero ? value + 0.0f : value; };
  const SharedMemory memory;
  const int last = line.n - 1;
  int at = SharedMemory::AddressOf(line.cells) + last * stride * kFloat;
  int word = SharedMemory::AddressOf(&line.Word(last));
  float here = memory[at + kSlot * kFloat], size = 0.0f;
  for (int first = last / kCodesOfWord * kCodesOfWord; first >= 0; first -= kCodesOfWord) {
    const int left = line.n - first, count = left < kCodesOfWord ? left : kCodesOfWord;
    unsigned codes = 0;
#pragma unroll 8
    for (int k = 0; k < count; ++k) {
      const float level = memory[at + kSlot * kFloat], z = memory[at];
      const float next = here;
      here = level == level ? level : next;
      codes = codes << 1 | __float_as_uint(no_minus_zero(here - next)) >> 31;  // kUp
      codes = codes << 1 | __float_as_uint(no_minus_zero(next - here)) >> 31;  // kDown
      const float taken = no_minus_zero(z - here);
      const float value = kLast ? here : memory[at + kInput * kFloat] - taken;
      size += fabsf(value);
      memory[at] = value;
      memory[at + kSlot * kFloat] = kUnset;
      at -= stride * kFloat;
    }
    memory[word] = __uint_as_float(codes);
    word -= line.between_words * kFloat;
  }
  return size;
}

template <bool kMinusZero, typename Stride>
__device__ float FillWalked(const CellLine& line, Stride stride, bool last) {
  return last ? Fill<true, kMinusZero>(line, stride) : Fill<false, kMinusZero>(line, stride);
}

// The same after core/tv1d.h.
__device__ float FillSolved(const CellLine& line, bool last) {
  float here = line.Slots()[line.n - 1], size = 0.0f;
  unsigned codes = line.weight.value == 0.0f && line.n > 1 ? kFree : kPlain;
  for (int k = line.n - 1; k >= 0; --k) {
    float* const cell = line.cells + k * line.stride;
    const float level = cell[kSlot], next = here;
    here = level == level ? level : next;
    if (k < line.n - 1) codes = codes << 2 | CodeOf(here, next);
    const float taken = cell[0] - here;
    cell[0] = last ? here : taken == 0.0f ? cell[kInput] : cell[kInput] - taken;
    size += fabsf(cell[0]);
    cell[kSlot] = kUnset;
    if (k % kCodesOfWord != 0) continue;
    line.Word(k) = __uint_as_float(codes);
    codes = 0;
  }
  return size;
}

// A half sweep on one line. `careful`: it may be unfit for a walk.
__device__ float HalfSweep(const CellLine& line, int axis, bool last, const float* inverses,
                           bool careful) {
  bool solved = !careful || FitForWalk(line);
  if (solved) {
    solved =
        axis == 0 ? WalkLine(line, line.stride, inverses) : WalkLine(line, kRowStride, inverses);
  }
  if (!solved) ProxLine({line.cells, line.stride}, {line.weight.place, 0}, line.n, line.Slots());
  if (!solved) return FillSolved(line, last);
  if (careful) return FillWalked<true>(line, line.stride, last);
  return axis == 0 ? FillWalked<false>(line, line.stride, last)
                   : FillWalked<false>(line, kRowStride, last);
}

// Whether samples whose sizes add up to that are small, so that a line of them is fit for a walk.
__device__ bool AreSmall(float sizes) { return sizes < kLargestInStep; }

// Fills the cells. Returns whether the thread's pixels are small and have no negative zero.
template <typename S>
__device__ bool Load(const CellTile& tile, const S* x) {
  bool negative_zero = false;
  float size = 0.0f;
  tile.ForPixels(x, [&](float* cell, S stored) {
    const float value = Widened(stored);
    cell[0] = cell[kInput] = value;
    cell[kSlot] = kUnset;
    size += fabsf(value);
    negative_zero |= __float_as_uint(value) == __float_as_uint(-0.0f);
  });
  return AreSmall(size) && !negative_zero;
}

// Writes the result, and NaN over all of an image with a NaN.
template <typename S>
__device__ void StoreResult(const CellTile& tile, int planes, S* y, uint8_t* codes) {
  bool bad = false;
  tile.ForPixels(y, [&](const float* cell, S& place) {
    const float value = cell[0];
    Store(value, &place);
    bad |= value != value;
  });
  if (!__syncthreads_or(bad)) return;
  unsigned spoilt = 0;
  for (int c = 0; c < tile.origin.count; ++c) {
    spoilt |= unsigned(__syncthreads_or(bad && tile.Channel() == c) != 0) << c;
  }
  if ((spoilt >> tile.Channel() & 1) == 0) return;
  const int64_t pixels = tile.origin.images.Pixels();
  tile.ForPixels(y,
                 [](float*, S& place) { Store(std::numeric_limits<float>::quiet_NaN(), &place); });
  for (int p = 0; codes != nullptr && p < planes; ++p) {
    tile.ForPixels(codes + p * pixels, [](float*, uint8_t& code) { code = kAllBad; });
  }
}

template <typename S>
__global__ void __launch_bounds__(kMaxCellThreads, kCellBlocks)
    SweepInStep(const __grid_constant__ SweepImages images, const int per_tile,
                const __grid_constant__ Weights along_height,
                const __grid_constant__ Weights along_width, const S* __restrict__ x,
                S* __restrict__ y, uint8_t* __restrict__ bits) {
  JAXTV_DYNAMIC_SHARED(float, cells);
  const CellTile tile(images, per_tile, cells);
  const int64_t pixels = images.Pixels(), base = tile.origin.sample * pixels;
  const int half_sweeps = 2 * images.num_sweeps, planes = int(CodePlanes(half_sweeps));
  uint8_t* const codes = bits == nullptr ? nullptr : bits + base * planes;
  const LineWeight of_column = WeightAlong(tile, 0, along_height);
  const LineWeight of_row = WeightAlong(tile, 1, along_width);
  tile.WriteInverses();
  const bool unusual = __syncthreads_or(!Load(tile, x + base));
  bool careful = unusual;
  for (int half = 0; half < half_sweeps; ++half) {
    const int axis = (images.first_axis + half) % 2;
    const bool last = half == half_sweeps - 1;
    const int plane = half / int(kCodesPerByte), in_plane = half % int(kCodesPerByte);
    float size = 0.0f;
    if (tile.HasLine(axis)) {
      const CellLine line{tile.FirstCell(axis),     tile.FirstWord(half),
                          tile.Stride(axis),        tile.layout.Across(axis),
                          tile.layout.Length(axis), axis == 0 ? of_column : of_row};
      size = HalfSweep(line, axis, last, tile.inverses, careful);
    }
    const bool full = last || in_plane == kCodesPerByte - 1;
    if (full || !tile.InWarps()) {
      careful = __syncthreads_or(unusual || !AreSmall(size));
    } else {
      careful = __any_sync(~0u, unusual || !AreSmall(size));
      __syncwarp();
    }
    if (!full || codes == nullptr) continue;
    tile.StoreCodes(in_plane + 1, codes + plane * pixels);
    if (!last) __syncthreads();
  }
  StoreResult(tile, planes, y + base, codes);
}

}  // namespace

int ImagesInStep(const SweepImages& images) {
  const CellLayout layout{images.height, images.width};
  if (layout.Longer() > kMaxSideInStep) return 0;
  const int64_t of_block = SharedMemoryOfDevice(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  const int64_t in_all = SharedMemoryOfDevice(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  const int64_t most =
      std::min<int64_t>({kMaxTile, images.inner, kMaxCellThreads / layout.Lanes()});
  // How many images are on a multiprocessor at once, in blocks of so many.
  const auto at_once = [&](int64_t tile) {
    const int64_t bytes = layout.Floats(int(tile)) * int64_t(sizeof(float));
    return bytes > of_block ? 0 : in_all / (bytes + kOfBlock) * tile;
  };
  // Blocks whose pixels are whole sectors of memory or halves of them, or all there is; smaller
  // ones only where no such block fits. Of those, the blocks that keep most images at once.
  int64_t best = 0;
  for (const int64_t tile : {images.inner, kMaxTile, kMaxTile / 2, kMaxTile / 4, int64_t(1)}) {
    if (tile > most || (best != 0 && tile < kMaxTile / 2)) continue;
    if (at_once(tile) > (best == 0 ? 0 : at_once(best))) best = tile;
  }
  return int(best);
}

template <typename S>
Status SweepsInStep(cudaStream_t stream, const SweepImages& images, int per_tile,
                    const WeightLayout (&weights)[2], const S* x, const float* const (&lam)[2],
                    S* y, uint8_t* bits) {
  return LaunchInStep("SweepInStep", SweepInStep<S>, stream, images, per_tile,
                      Weights{weights[0], lam[0]}, Weights{weights[1], lam[1]}, x, y, bits);
}

#define JAXTV_INSTANTIATE(S)                                                                    \
  template Status SweepsInStep(cudaStream_t, const SweepImages&, int, const WeightLayout(&)[2], \
                               const S*, const float* const(&)[2], S*, uint8_t*);
JAXTV_INSTANTIATE(float)
JAXTV_INSTANTIATE(__half)
JAXTV_INSTANTIATE(__nv_bfloat16)
#undef JAXTV_INSTANTIATE

}  // namespace jaxtv::cuda
