// SPDX-License-Identifier: MIT
// The reverse of K sweeps over images in shared memory, a lane for each line, in step.
//
// A cell holds what the axis along the height has given so far (core/sweeps.h), what that along the
// width has, and a mean. Two passes over a line reverse a half sweep: the first, from its start,
// keeps the mean of the run so far, by Kahan's sum of deviations from the run's first sample
// (walk_in_step.h); the second, from its end, gives all of a run the mean that its last sample has,
// and adds up the cotangent of the weight, which stays in a register to the end. Where a run
// starts, sum and carry are multiplied by 0 in the fused products that they belong to anyway.
//
// Lines with other codes than jumps, and those whose sums are not finite, are left to ReverseLine.
#include "core/sweeps.h"
#include "cuda/common/launch.h"
#include "cuda/common/shared_address.h"
#include "cuda/images/sweep_cells.h"
#include "cuda/images/sweeps_in_step.h"

namespace jaxtv::cuda {
namespace {

constexpr int kMean = 2;   // place in a cell, behind the totals along either axis
constexpr int kBlock = 8;  // samples of an unrolled loop
constexpr int kFloat = sizeof(float);

// A line of cells in shared memory, and its words of codes, at addresses in bytes.
template <int kAxis>
struct CodedLine {
  static constexpr int kOwn = kAxis * kFloat, kFollowing = kFloat - kOwn;  // places of totals

  int first, pitch, words, between_words, n;

  __device__ int Step() const { return kAxis == 0 ? pitch : kCell * kFloat; }
  __device__ unsigned Codes(int k) const {
    return __float_as_uint(SharedMemory()[words + k / kCodesOfWord * between_words]);
  }
  __device__ int Code(int k) const { return Codes(k) >> k % kCodesOfWord * 2 & 3; }
  __device__ Line<float> Totals(int place) const {
    return {&SharedMemory()[first + place], Step() / kFloat};
  }
};

// Calls step(j) for the samples j of a block, or for the first one as long as fewer are left, and
// then advance(number of samples).
template <typename TakeStep, typename Advance>
__device__ void InBlocks(int count, const TakeStep& step, const Advance& advance) {
  for (; count >= kBlock; count -= kBlock) {
#pragma unroll
    for (int j = 0; j < kBlock; ++j) step(j);
    advance(kBlock);
  }
  for (; count > 0; --count) {
    step(0);
    advance(1);
  }
}

// Means of the runs so far. False if the line is unfit.
template <int kAxis>
__device__ bool MeanRuns(const CodedLine<kAxis>& line, int inverses) {
  using Of = CodedLine<kAxis>;
  const SharedMemory memory;
  const int step = line.Step();
  int at = line.first, word = line.words;
  int inverse = inverses;  // of the length of the run before the block, or that it would have had
  float ref = 0.0f, sum = 0.0f, carry = 0.0f;
  unsigned before = ~0u, cuts = 0;  // a run starts at the first sample
  for (int first = 0; first < line.n; first += kCodesOfWord) {
    const unsigned codes = __float_as_uint(memory[word]);
    unsigned starts = codes << 2 | before >> 30;  // the code of the sample before
    before = codes;
    cuts |= codes & codes >> 1 & 0x55555555u;
    const int left = line.n - first;
    InBlocks(
        left < kCodesOfWord ? left : kCodesOfWord,
        [&](int j) {
          const int cell = at + j * step;
          const bool start = (starts >> 2 * j & 3) != 0;
          const float v = memory[cell + Of::kFollowing] - memory[cell + Of::kOwn];
          const float keep = start ? 0.0f : 1.0f;
          ref = start ? v : ref;
          inverse = start ? inverses - j * kFloat : inverse;
          const float term = fmaf(-carry, keep, v - ref), more = fmaf(sum, keep, term);
          carry = fmaf(-sum, keep, more) - term;
          sum = more;
          memory[cell + kMean * kFloat] = fmaf(sum, memory[inverse + (j + 1) * kFloat], ref);
        },
        [&](int samples) {
          at += samples * step;
          starts >>= 2 * samples;
          inverse += samples * kFloat;
        });
    word += line.between_words;
  }
  return cuts == 0 && line.Code(line.n - 1) == kPlain && fabsf(sum) + fabsf(carry) < HUGE_VALF;
}

// From the means of MeanRuns, adds to the axis' total and returns the weight's cotangent.
template <int kAxis>
__device__ float AddMeans(const CodedLine<kAxis>& line) {
  const SharedMemory memory;
  const int step = line.Step(), last = line.n - 1;
  int at = line.first + last * step, word = line.words + last / kCodesOfWord * line.between_words;
  float mean = memory[at + kMean * kFloat], slope = 0.0f;
  int count = last % kCodesOfWord + 1;
  for (int left = line.n; left > 0; left -= count, count = kCodesOfWord) {
    unsigned codes = __float_as_uint(memory[word]) << 2 * (kCodesOfWord - count);
    InBlocks(
        count,
        [&](int j) {
          const int cell = at - j * step;
          const float next = mean;
          mean = (codes & 3u << (30 - 2 * j)) != 0 ? memory[cell + kMean * kFloat] : next;
          const unsigned up = codes << 2 * j & 0x80000000u;
          slope += __uint_as_float(__float_as_uint(next - mean) ^ up);
          memory[cell + CodedLine<kAxis>::kOwn] += mean;
        },
        [&](int samples) {
          at -= samples * step;
          codes <<= 2 * samples;
        });
    word -= line.between_words;
  }
  return slope;
}

// After the half sweep that read it as the cotangent of the result.
template <int kAxis>
__device__ void ClearFollowing(const CodedLine<kAxis>& line) {
  const Line<float> following = line.Totals(CodedLine<kAxis>::kFollowing);
  for (int k = 0; k < line.n; ++k) following[k] = 0.0f;
}

template <int kAxis>
__device__ float ReverseHalf(const CodedLine<kAxis>& line, int inverses) {
  using Of = CodedLine<kAxis>;
  if (MeanRuns(line, inverses)) return AddMeans(line);
  float slope = 0.0f;
  const Line<float> following = line.Totals(Of::kFollowing);
  ReverseLine([&](int64_t k) { return line.Code(int(k)); },
              Line<const float>{following.data, following.stride}, line.n, line.Totals(Of::kOwn),
              [&](int64_t, float each) { slope -= each; });
  return slope;
}

template <int kAxis>
__device__ CodedLine<kAxis> LineOf(const CellTile& tile, int half) {
  return {SharedMemory::AddressOf(tile.FirstCell(kAxis)), tile.layout.Pitch() * kFloat,
          SharedMemory::AddressOf(tile.FirstWord(half)), tile.layout.Across(kAxis) * kFloat,
          tile.layout.Length(kAxis)};
}

// The thread's part in the reverse of a half sweep, the `first` one or another.
template <int kAxis>
__device__ float ReverseLines(const CellTile& tile, int half, bool first, int inverses) {
  if (!tile.HasLine(kAxis)) return 0.0f;
  const CodedLine<kAxis> line = LineOf<kAxis>(tile, half);
  const float slope = ReverseHalf(line, inverses);
  if (first) ClearFollowing(line);
  return slope;
}

// Packs the codes of a plane, whose bytes are in the places of means, for the half sweeps of it
// that go along an axis, of which `half` is one of the first two.
template <int kAxis>
__device__ void PackCodes(const CellTile& tile, int half) {
  if (!tile.HasLine(kAxis)) return;
  const SharedMemory memory;
  const CodedLine<kAxis> low = LineOf<kAxis>(tile, half), high = LineOf<kAxis>(tile, half + 2);
  const int step = low.Step(), shift = CodeShift(half);
  int at = low.first + kMean * kFloat, word = low.words;
  for (int left = low.n; left > 0; left -= kCodesOfWord) {
    const int count = left < kCodesOfWord ? left : kCodesOfWord;
    unsigned codes = 0, later = 0;
#pragma unroll 8
    for (int k = 0; k < count; ++k) {
      const unsigned byte = __float_as_uint(memory[at]) >> shift;
      codes = __funnelshift_r(codes, byte, 2);  // the lowest two bits become the highest
      later = __funnelshift_r(later, byte >> 4, 2);
      at += step;
    }
    memory[word] = __uint_as_float(codes >> 2 * (kCodesOfWord - count));
    memory[word + high.words - low.words] = __uint_as_float(later >> 2 * (kCodesOfWord - count));
    word += low.between_words;
  }
}

template <typename S>
__global__ void __launch_bounds__(kMaxCellThreads, kCellBlocks)
    ReverseInStep(const __grid_constant__ SweepImages images, const int per_tile,
                  float* __restrict__ of_height, float* __restrict__ of_width,
                  const S* __restrict__ y_bar, const uint8_t* __restrict__ bits,
                  S* __restrict__ x_bar) {
  JAXTV_DYNAMIC_SHARED(float, cells);
  const CellTile tile(images, per_tile, cells);
  const int64_t pixels = images.Pixels(), base = tile.origin.sample * pixels;
  const int half_sweeps = 2 * images.num_sweeps, first_axis = images.first_axis;
  const int inverses = SharedMemory::AddressOf(tile.inverses);
  const uint8_t* const planes = bits + base * CodePlanes(half_sweeps);
  tile.WriteInverses();
  // The cotangent of the result stands in for a total until the first half sweep has read it.
  tile.ForPixels(y_bar + base, [&](float* cell, S stored) {
    cell[first_axis] = Widened(stored);
    cell[1 - first_axis] = 0.0f;
  });
  float slopes[2] = {0.0f, 0.0f};
  for (int half = half_sweeps - 1; half >= 0; --half) {
    if (half == half_sweeps - 1 || half % kCodesPerByte == kCodesPerByte - 1) {
      const uint8_t* const plane = planes + half / kCodesPerByte * pixels;
      tile.ForPixels(plane,
                     [](float* cell, unsigned code) { cell[kMean] = __uint_as_float(code); });
      __syncthreads();
      PackCodes<0>(tile, first_axis);
      PackCodes<1>(tile, 1 - first_axis);
      tile.Meet();
    }
    const bool first = half == half_sweeps - 1;
    if ((first_axis + half) % 2 == 0) {
      slopes[0] += ReverseLines<0>(tile, half, first, inverses);
    } else {
      slopes[1] += ReverseLines<1>(tile, half, first, inverses);
    }
    if (half % kCodesPerByte == 0) {
      __syncthreads();
    } else {
      tile.Meet();
    }
  }
  tile.ForPixels(x_bar + base,
                 [&](const float* cell, S& place) { Store(cell[first_axis], &place); });
  if (tile.HasLine(0)) of_height[tile.LineNumber(0)] = slopes[0];
  if (tile.HasLine(1)) of_width[tile.LineNumber(1)] = slopes[1];
}

}  // namespace

template <typename S>
Status SweepsReverseInStep(cudaStream_t stream, const SweepImages& images, int per_tile,
                           const S* y_bar, const uint8_t* bits, S* x_bar,
                           float* const (&lam_bar)[2]) {
  return LaunchInStep("ReverseInStep", ReverseInStep<S>, stream, images, per_tile, lam_bar[0],
                      lam_bar[1], y_bar, bits, x_bar);
}

#define JAXTV_INSTANTIATE(S)                                                           \
  template Status SweepsReverseInStep(cudaStream_t, const SweepImages&, int, const S*, \
                                      const uint8_t*, S*, float* const(&)[2]);
JAXTV_INSTANTIATE(float)
JAXTV_INSTANTIATE(__half)
JAXTV_INSTANTIATE(__nv_bfloat16)
#undef JAXTV_INSTANTIATE

}  // namespace jaxtv::cuda
