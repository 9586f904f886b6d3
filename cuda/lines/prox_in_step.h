// SPDX-License-Identifier: MIT
// The prox of a line in shared memory by a lane that goes in step with those beside it.
#pragma once

#include <limits>
#include <type_traits>

#include "core/line.h"
#include "core/tv1d.h"
#include "cuda/common/shared_address.h"
#include "cuda/lines/walk_in_step.h"

namespace jaxtv::cuda {
namespace {

// The content of a slot without a level.
constexpr float kUnset = std::numeric_limits<float>::quiet_NaN();

// Sums and differences of smaller samples cannot overflow in float.
constexpr float kLargestInStep = 1.2676506e30f;  // 2^100

// A line's first sample and first slot, with `stride` floats from each to the next. The stride is a
// number or, where it is known at compile time, an integral constant.
template <typename Stride>
struct SlottedLine {
  const float* samples;
  float* slots;
  Stride stride;
};

template <int kFloats>
using Floats = std::integral_constant<int, kFloats>;

// Writes the level of each run, from its slot, to all samples of the run. Returns whether the line
// was fit for a walk: no sample infinite, NaN or huge, and the samples not all zeros with a -0
// among them, whose sign must stay.
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

// Returns false if `y` is not the prox, so that core/tv1d.h must solve the line. All slots must be
// unset; they may be `y`. inverses[d] = 1 / d.
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

// The same whatever the line is.
template <typename Stride>
__device__ void SolveInStep(const SlottedLine<Stride>& line, const float* inverses,
                            const Line<const float>& lam, int n, const Line<float>& y) {
  if (!ProxInStep(line, inverses, lam[0], n, y)) {
    ProxLine(Line<const float>{line.samples, line.stride}, lam, n, y);
  }
}

}  // namespace
}  // namespace jaxtv::cuda
