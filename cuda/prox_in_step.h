// SPDX-License-Identifier: MIT
// The prox of a line in shared memory by a lane that goes in step with those beside it.
#pragma once

#include <limits>
#include <type_traits>

#include "core/line.h"
#include "cuda/shared_address.h"
#include "cuda/tv1d_walk.h"

namespace jaxtv::cuda {
namespace {

// Of a slot in which there is no number yet.
constexpr float kUnset = std::numeric_limits<float>::quiet_NaN();

// Sums and differences of smaller samples cannot overflow in float.
constexpr float kLargestInStep = 1.2676506e30f;  // 2^100

// A line's first sample and first slot, each `stride` floats before the next one. The stride is a
// number or, if the compiler knows it, a type.
template <typename Stride>
struct SlottedLine {
  const float* samples;
  float* slots;
  Stride stride;
};

template <int kFloats>
using Floats = std::integral_constant<int, kFloats>;

// Levels, from their slots, for all samples of their runs. What was there tells whether the line
// was fit for a walk: no sample infinite, NaN or huge, and not all of them zeros of which one has a
// minus, which it must keep.
template <typename Stride>
__device__ bool FillRuns(const SlottedLine<Stride>& line, int n, const Line<float>& y) {
  bool fit = true;
  unsigned bits = 0;
  float level = 0.0f;
#pragma unroll 8
  for (int k = n - 1; k >= 0; --k) {
    const float sample = line.samples[k * line.stride], slot = line.slots[k * line.stride];
    fit = fit && fabsf(sample) < kLargestInStep;
    bits |= __float_as_uint(sample);
    level = slot == slot ? slot : level;
    y[k] = level;
  }
  return fit && bits != __float_as_uint(-0.0f);
}

// False if the line is left to core/tv1d.h, and `y` to be written once more. Slots are unset, and
// may be `y`; inverses[d] = 1 / d.
template <typename Stride>
__device__ bool ProxInStep(const SlottedLine<Stride>& line, const float* inverses, float w, int n,
                           const Line<float>& y) {
  const int samples = SharedMemory::AddressOf(line.samples);
  const int slots = Kept(SharedMemory::AddressOf(line.slots) - samples);
  LineWalk<SharedMemory, Stride> walk(SharedMemory(), samples, slots, line.stride,
                                      SharedMemory::AddressOf(inverses), n, w);
  while (!walk.AtEnd()) walk.Step();
  const bool walked = walk.Finish() && w >= kLeastWeight;
  return FillRuns(line, n, y) && walked;
}

}  // namespace
}  // namespace jaxtv::cuda
