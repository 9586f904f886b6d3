// SPDX-License-Identifier: MIT
// Line solves alternate with passes over samples. Those touch no image that is not to be swept; the
// lines of such an image are solved again, from the same input to the same result.
#include "cuda/common/launch.h"
#include "cuda/images/alternating.h"
#include "cuda/images/line_parts.h"
#include "cuda/images/samples.h"
#include "cuda/images/work_space.h"
#include "cuda/lines/tv1d.h"
#include "cuda/lines/work_space.h"

namespace jaxtv::cuda {
namespace {

constexpr int kImageThreads = 256;
constexpr int kImageWarps = kImageThreads / 32;

__device__ inline float Root(float x) { return sqrtf(x); }
__device__ inline double Root(double x) { return sqrt(x); }

template <typename T>
__device__ T NextMomentum(T momentum) {
  return (T(1) + Root(T(1) + T(4) * momentum * momentum)) / T(2);
}

// v + beta (v - u): where the last two sweeps point to.
template <typename T>
struct Extrapolation {
  T beta;

  __device__ explicit Extrapolation(T momentum)
      : beta((momentum - T(1)) / NextMomentum(momentum)) {}

  __device__ T operator()(const T* dual, const T* previous, int64_t at) const {
    const T v = dual[at];
    return v + beta * (v - previous[at]);
  }
};

// The input of the first axis: `from` less the extrapolated dual of another axis, if there is one.
template <typename T>
__global__ void __launch_bounds__(kSampleThreads)
    ExtrapolateDual(const int64_t samples, const int* __restrict__ image_of,
                    const int* __restrict__ sweeping, const T* __restrict__ momentum,
                    const T* __restrict__ dual, const T* __restrict__ previous, const T* from,
                    T* to) {
  const int64_t at = SampleOfThread();
  if (at >= samples) return;
  const int image = image_of[at];
  if (!sweeping[image]) return;
  to[at] =
      dual == nullptr ? from[at] : from[at] - Extrapolation<T>(momentum[image])(dual, previous, at);
}

// Sums over a line or an image: the step against the gradient, how far the results along two axes
// are apart, and |y|^2 of the last axis.
struct SweepSums {
  double against, apart, energy;

  __device__ SweepSums Then(const SweepSums& next) const {
    return {against + next.against, apart + next.apart, energy + next.energy};
  }

  template <typename F>
  __device__ SweepSums Each(const F& f) const {
    return {f(against), f(apart), f(energy)};
  }
};

// After the solves along an axis: its dual, the sums over each line, and the input of the axis that
// is next.
template <typename T>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    AdvanceLines(const Lines lines, const int* __restrict__ image_of,
                 const int* __restrict__ sweeping, const T* __restrict__ momentum,
                 const T* __restrict__ input, const T* __restrict__ result, T* __restrict__ dual,
                 T* __restrict__ previous, const T* __restrict__ before, T* __restrict__ next_input,
                 const T* __restrict__ next_dual, const T* __restrict__ next_previous,
                 SweepSums* __restrict__ sums) {
  const LinePart part(lines);
  const int64_t first = lines.At(image_of, part.line).data - image_of;
  const int image = image_of[first];
  const Extrapolation<T> extrapolated(momentum[image]);
  SweepSums mine{0.0, 0.0, 0.0};
  if (sweeping[image]) {
    part.ForSpread([&](int64_t k) {
      const int64_t at = first + k * lines.inner;
      const T y = result[at], v = input[at] - y;
      if (previous != nullptr) {
        const T old = dual[at], ahead = extrapolated(dual, previous, at);
        mine.against += double(ahead - v) * double(v - old);
        previous[at] = old;
      }
      dual[at] = v;
      if (before != nullptr) {
        const double apart = double(y - before[at]);
        mine.apart += apart * apart;
      }
      if (next_input == nullptr) {
        mine.energy += double(y) * double(y);
      } else {
        next_input[at] = y + extrapolated(next_dual, next_previous, at);
      }
    });
  }
  if (sums == nullptr) return;
  const SweepSums zero{0.0, 0.0, 0.0};
  const SweepSums total = BeforePart<Direction::kForward>(part, mine, zero).Then(mine);
  if (part.length > 0 && part.index + 1 == part.count) sums[part.line] = total;
}

// Adds up the sums over the lines of each image along an axis. After the last axis: momentum, by
// Nesterov's weights or started again, and whether the image goes on.
template <typename T>
__global__ void __launch_bounds__(kImageThreads)
    AdvanceImages(const __grid_constant__ ImageNumbers<T> numbers,
                  const __grid_constant__ WeightLayout first,
                  const __grid_constant__ WeightLayout member, const int64_t members,
                  const bool is_first, const bool is_last, const bool three_axes,
                  const SweepSums* __restrict__ of_lines, SweepSums* __restrict__ of_images) {
  __shared__ SweepSums of_warps[kImageWarps];
  const int64_t i = blockIdx.x, start = first.At(of_lines, i).data - of_lines;
  if (!numbers.sweeping[i]) return;
  SweepSums mine{0.0, 0.0, 0.0};
  for (int64_t j = threadIdx.x; j < members; j += kImageThreads) {
    mine = mine.Then(of_lines[start + (member.At(of_lines, j).data - of_lines)]);
  }
  mine = InclusiveWarpScan<Direction::kForward>(mine);
  if (threadIdx.x % 32 == 31) of_warps[threadIdx.x / 32] = mine;
  __syncthreads();
  if (threadIdx.x != 0) return;
  SweepSums total = is_first ? SweepSums{0.0, 0.0, 0.0} : of_images[i];
  for (const SweepSums& of_warp : of_warps) total = total.Then(of_warp);
  of_images[i] = total;
  if (!is_last) return;
  const T energy = T(total.energy);
  const bool restart = total.against > 0.0 || (three_axes && energy > numbers.energy[i]);
  const T momentum = restart ? T(1) : NextMomentum(numbers.momentum[i]);
  numbers.momentum[i] = momentum;
  numbers.energy[i] = energy;
  numbers.moved[i] = T(sqrt(total.apart));
  numbers.count[i] += 1;
  numbers.sweeping[i] = numbers.Unfinished(i);
}

}  // namespace

template <typename T>
Status Alternating<T>::Sweep() const {
  Status status = Extrapolate();
  for (size_t a = 0; a < axes_.size() && status.error == cudaSuccess; ++a) {
    const SolvedAxis<T>& axis = axes_[a];
    status =
        ProxTv1d<T>(stream_, axis.lines, axis.weights, axis.input, axis.lam, axis.result, scratch_);
    if (status.error == cudaSuccess) status = Advance(a);
  }
  return status;
}

template <typename T>
Status Alternating<T>::Extrapolate() const {
  const int64_t samples = SampleCount(axes_);
  const Grid grid = SampleGrid(samples, stream_);
  LaunchSequence launches;
  const T* from = x_;
  T* const to = axes_[0].input;
  const T* const none = nullptr;
  for (size_t a = axes_.size() > 1 ? 1 : 0; a < axes_.size(); ++a) {
    launches.Add("ExtrapolateDual", ExtrapolateDual<T>, grid, samples, image_of_, numbers_.sweeping,
                 numbers_.momentum, a > 0 ? axes_[a].dual : none, a > 0 ? axes_[a].previous : none,
                 from, to);
    from = to;
  }
  return launches.status();
}

template <typename T>
Status Alternating<T>::Advance(size_t a) const {
  const SolvedAxis<T>& axis = axes_[a];
  const bool is_last = a + 1 == axes_.size(), is_summed = a > 0 || is_last;
  // The line solves between two axes must not touch the sums.
  WorkSpace space(static_cast<char*>(scratch_) + SampleCount(axes_) * kProxSampleBytes);
  SweepSums* const of_images = space.Take<SweepSums>(images_);
  SweepSums* const of_lines = space.Take<SweepSums>(axis.lines.count());
  const SolvedAxis<T>* const next = is_last ? nullptr : &axes_[a + 1];
  LaunchSequence launches;
  launches.Add("AdvanceLines", AdvanceLines<T>, LinePartGrid(axis.lines, stream_), axis.lines,
               image_of_, numbers_.sweeping, numbers_.momentum, axis.input, axis.result, axis.dual,
               axis.previous, a > 0 ? axes_[a - 1].result : nullptr, next ? next->input : nullptr,
               next ? next->dual : nullptr, next ? next->previous : nullptr,
               is_summed ? of_lines : nullptr);
  if (is_summed) {
    launches.Add("AdvanceImages", AdvanceImages<T>, Grid{images_, kImageThreads, 0, stream_},
                 numbers_, axis.first, axis.member, axis.members, a <= 1, is_last, axes_.size() > 2,
                 of_lines, of_images);
  }
  return launches.status();
}

template class Alternating<float>;
template class Alternating<double>;

}  // namespace jaxtv::cuda
