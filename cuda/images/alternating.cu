// SPDX-License-Identifier: MIT
// Lines of float with one weight are swept along an axis by one kernel (sweep_lines.h). Else line
// solves alternate with passes over samples. Blocks without an image that is to be swept return at
// once, but those that solve a few very long lines (tv1d_grid.cu): from the same input these come
// to the same result again.
#include "cuda/common/launch.h"
#include "cuda/images/alternating.h"
#include "cuda/images/line_parts.h"
#include "cuda/images/samples.h"
#include "cuda/images/search_steps.h"
#include "cuda/images/sweep_lines.h"
#include "cuda/images/work_space.h"
#include "cuda/lines/tv1d.h"
#include "cuda/lines/work_space.h"

namespace jaxtv::cuda {
namespace {

constexpr int kImageThreads = 256;

// The input of the first axis, or that input less the dual of one more axis.
template <typename T>
__global__ void __launch_bounds__(kSampleThreads)
    EnterSweep(const int64_t samples, const __grid_constant__ SweptAxis<T> axis) {
  const int64_t at = SampleOfThread();
  if (at >= samples) return;
  const OfImage<T> image = axis.images.Of(at);
  if (image.sweeping) axis.Input(image, axis.Read(at), at);
}

// What follows from the solves along an axis, the sums over each line, and the input of the axis
// that is next, if there is one.
template <typename T>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    AdvanceLines(const Lines lines, const __grid_constant__ SweptAxis<T> axis,
                 const __grid_constant__ SweptAxis<T> next, T* __restrict__ next_input,
                 SweepSums* __restrict__ sums) {
  const LinePart part(lines);
  const int64_t first = lines.First(part.line);
  const OfImage<T> image = axis.images.Of(first);
  SweepSums mine{0.0, 0.0, 0.0};
  if (image.sweeping) {
    part.ForSpread([&](int64_t k) {
      const int64_t at = first + k * lines.inner;
      mine = mine.And(axis.Finish(image, axis.ReadAgain(at), at, axis.result[at]));
      if (next_input != nullptr) next_input[at] = next.Input(image, next.Read(at), at);
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
  const int64_t i = blockIdx.x, start = first.At(of_lines, i).data - of_lines;
  if (!numbers.sweeping[i]) return;
  SweepSums mine{0.0, 0.0, 0.0};
  for (int64_t j = threadIdx.x; j < members; j += kImageThreads) {
    mine = mine.Then(of_lines[start + (member.At(of_lines, j).data - of_lines)]);
  }
  SweepSums before = is_first ? SweepSums{0.0, 0.0, 0.0} : of_images[i];
  before.energy = 0.0;  // of the last axis alone
  const SweepSums total = SumOverBlock<kImageThreads>(before, mine);
  if (threadIdx.x != 0) return;
  of_images[i] = total;
  if (!is_last) return;
  EndSweep(numbers, total, three_axes, i);
}

}  // namespace

template <typename T>
Alternating<T>::Alternating(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes,
                            int64_t images, const int* image_of, const ImageNumbers<T>& numbers,
                            const T* x, void* scratch)
    : stream_(stream),
      axes_(axes),
      images_(images),
      swept_{image_of, numbers.sweeping, numbers.beta},
      numbers_(numbers),
      x_(x),
      scratch_(scratch),
      in_one_launch_(sizeof(T) == sizeof(float) && axes.size() <= 2) {
  for (const SolvedAxis<T>& axis : axes) {
    in_one_launch_ = in_one_launch_ && SweptInOneLaunch(axis.lines, axis.weights);
  }
}

template <typename T>
SweptAxis<T> Alternating<T>::Swept(size_t a) const {
  const SolvedAxis<T>& axis = axes_[a];
  SweptAxis<T> swept{swept_,     x_,          nullptr,   nullptr,
                     axis.input, axis.result, axis.dual, axis.previous};
  const size_t ahead = a > 0 ? a : 1;
  if (ahead < axes_.size()) {
    swept.ahead_dual = axes_[ahead].dual;
    swept.ahead_previous = axes_[ahead].previous;
  }
  if (a > 0) swept.from = axes_[a - 1].result;
  return swept;
}

template <typename T>
Status Alternating<T>::Sweep() const {
  Status status = in_one_launch_ ? Status{} : Enter();
  for (size_t a = 0; a < axes_.size() && status.error == cudaSuccess; ++a) {
    const bool is_last = a + 1 == axes_.size();
    // The line solves between two axes must not touch the sums.
    WorkSpace space(static_cast<char*>(scratch_) + SampleCount(axes_) * kProxSampleBytes);
    SweepSums* const of_images = space.Take<SweepSums>(images_);
    SweepSums* const of_lines = space.Take<SweepSums>(axes_[a].lines.count());
    SweepSums* const wanted = a > 0 || is_last ? of_lines : nullptr;
    status = in_one_launch_ ? Half(a, wanted) : HalfInSteps(a, wanted);
    if (status.error != cudaSuccess || wanted == nullptr) continue;
    status = Launch("AdvanceImages", AdvanceImages<T>, Grid{images_, kImageThreads, 0, stream_},
                    numbers_, axes_[a].first, axes_[a].member, axes_[a].members, a <= 1, is_last,
                    axes_.size() > 2, of_lines, of_images);
  }
  return status;
}

template <typename T>
Status Alternating<T>::Half(size_t a, SweepSums* sums) const {
  if constexpr (sizeof(T) == sizeof(float)) {
    return SweepLines(stream_, axes_[a].lines, axes_[a].weights, axes_[a].lam, Swept(a), sums);
  }
  return {};
}

template <typename T>
Status Alternating<T>::HalfInSteps(size_t a, SweepSums* sums) const {
  const SolvedAxis<T>& axis = axes_[a];
  const Status status =
      ProxTv1d<T>(stream_, axis.lines, axis.weights, axis.input, axis.lam, axis.result, scratch_,
                  WantedLines{swept_.image_of, swept_.sweeping});
  if (status.error != cudaSuccess) return status;
  const bool is_last = a + 1 == axes_.size();
  const size_t next = is_last ? a : a + 1;
  return Launch("AdvanceLines", AdvanceLines<T>, LinePartGrid(axis.lines, stream_), axis.lines,
                Swept(a), Swept(next), is_last ? nullptr : axes_[next].input, sums);
}

template <typename T>
Status Alternating<T>::Enter() const {
  const int64_t samples = SampleCount(axes_);
  const Grid grid = SampleGrid(samples, stream_);
  LaunchSequence launches;
  SweptAxis<T> swept = Swept(0);
  launches.Add("EnterSweep", EnterSweep<T>, grid, samples, swept);
  swept.from = swept.input;
  for (size_t a = 2; a < axes_.size(); ++a) {
    swept.ahead_dual = axes_[a].dual;
    swept.ahead_previous = axes_[a].previous;
    launches.Add("EnterSweep", EnterSweep<T>, grid, samples, swept);
  }
  return launches.status();
}

template class Alternating<float>;
template class Alternating<double>;

}  // namespace jaxtv::cuda
