// SPDX-License-Identifier: MIT
#include <limits>

#include "cuda/common/launch.h"
#include "cuda/images/certificate.h"
#include "cuda/images/line_parts.h"
#include "cuda/images/samples.h"
#include "cuda/images/search_steps.h"
#include "cuda/images/solve.h"
#include "cuda/images/solve_on_chip.h"
#include "cuda/images/work_space.h"

namespace jaxtv::cuda {
namespace {

constexpr int kPlanThreads = 256;

// What the host is told.
struct Plan {
  int active;        // whether any image goes on
  int sweeps;        // the most that an image makes before its next test
  int union_wanted;  // whether to try the points from all equalities too, before going on
};

template <typename T>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    NumberSamples(const Lines lines, const __grid_constant__ WeightLayout numbers,
                  int* __restrict__ image_of, const T* __restrict__ x, T* __restrict__ y) {
  const LinePart part(lines);
  const int* const none = nullptr;
  const int image = int(numbers.At(none, part.line).data - none);
  part.ForSpread([&](int64_t k) {
    const int64_t at = lines.At(x, part.line).data - x + k * lines.inner;
    image_of[at] = image;
    y[at] = x[at];
  });
}

template <typename T>
__global__ void __launch_bounds__(kSampleThreads)
    StartDual(const int64_t samples, const T* __restrict__ start, T* __restrict__ dual,
              T* __restrict__ previous) {
  const int64_t at = SampleOfThread();
  if (at >= samples) return;
  dual[at] = start[at];
  if (previous != nullptr) previous[at] = start[at];
}

template <typename T>
__global__ void __launch_bounds__(kSampleThreads)
    TakeBetter(const int64_t samples, const int* __restrict__ image_of,
               const int* __restrict__ better, const T* __restrict__ z, T* __restrict__ y) {
  const int64_t at = SampleOfThread();
  if (at < samples && better[image_of[at]]) y[at] = z[at];
}

enum class Step { kStart, kVote, kUnion };

// What is due for each image after a step, whether the point that is tried next is for it, and the
// plan. One block has all images.
template <typename T>
__global__ void __launch_bounds__(kPlanThreads)
    MakePlan(const __grid_constant__ ImageNumbers<T> n, const __grid_constant__ Findings<T> found,
             const int64_t images, const Step step, const bool is_first_test,
             int* __restrict__ wanted, Plan* __restrict__ plan) {
  const bool is_test = step == Step::kVote || step == Step::kUnion;
  bool wants_union = false;
  for (int64_t i = threadIdx.x; i < images; i += kPlanThreads) {
    if (step == Step::kStart) StartImage(n, i);
    if (is_first_test) found.before[i] = n.bound[i];
    if (is_test) {
      const bool wanted = n.active[i] && n.bound[i] > n.target[i];
      Judge(n, found, step == Step::kVote ? wanted : WantsUnion(n, i), i);
    }
    wants_union = wants_union || (step == Step::kVote && WantsUnion(n, i));
  }
  const bool union_wanted = __syncthreads_or(wants_union);
  int active = 0, sweeps = 0;
  for (int64_t i = threadIdx.x; i < images; i += kPlanThreads) {
    if (is_test && !union_wanted) Conclude(n, found.before[i], i);
    n.sweeping[i] = n.Unfinished(i);
    wanted[i] = union_wanted ? WantsUnion(n, i) : n.active[i];
    active |= n.active[i];
    if (n.sweeping[i]) sweeps = max(sweeps, n.due[i] - n.count[i]);
  }
  active = __syncthreads_or(active);
  __shared__ int most[kPlanThreads];
  most[threadIdx.x] = sweeps;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (const int other : most) sweeps = max(sweeps, other);
  *plan = {active, sweeps, union_wanted};
}

template <typename T>
class Solver {
 public:
  Solver(cudaStream_t stream, SolveOperands<T>& operands)
      : stream_(stream),
        p_(operands),
        samples_(SampleCount(operands.axes)),
        space_(operands.scratch),
        plan_(space_.Take<Plan>(1)),
        found_{Numbers(), Numbers(), Numbers(), space_.Take<int>(p_.images)},
        wanted_(space_.Take<int>(p_.images)),
        image_of_(space_.Take<int>(samples_)),
        point_(space_.Take<T>(samples_)) {
    p_.numbers.sweeping = space_.Take<int>(p_.images);
    p_.numbers.beta = Numbers();
    for (SolvedAxis<T>& axis : p_.axes) axis.input = space_.Take<T>(samples_);
  }

  Status Run() {
    void* const rest = space_.Take<double>(0);
    const WantedLines wanted{image_of_, p_.images > 1 ? wanted_ : nullptr};
    const Certifier<T> certifier(stream_, p_.axes, p_.images, p_.x, wanted, rest);
    const Alternating<T> sweeper(stream_, p_.axes, p_.images, image_of_, p_.numbers, p_.x, rest);
    Plan plan;
    Status status = Start();
    if (status.error == cudaSuccess) status = Next(Step::kStart, false, &plan);
    while (status.error == cudaSuccess && plan.active) {
      for (int k = 0; k < plan.sweeps && status.error == cudaSuccess; ++k) status = sweeper.Sweep();
      if (status.error == cudaSuccess) status = Test(certifier, &plan);
    }
    return status;
  }

 private:
  T* Numbers() { return space_.Take<T>(p_.images); }

  Grid BySample() const { return SampleGrid(samples_, stream_); }

  Status Start() const {
    const Lines& lines = p_.axes[0].lines;
    LaunchSequence launches;
    launches.Add("NumberSamples", NumberSamples<T>, LinePartGrid(lines, stream_), lines,
                 p_.image_of, image_of_, p_.x, p_.y);
    for (size_t a = 0; a < p_.axes.size(); ++a) {
      launches.Add("StartDual", StartDual<T>, BySample(), samples_, p_.start[a], p_.axes[a].dual,
                   a > 0 ? p_.axes[a].previous : nullptr);
    }
    return launches.status();
  }

  // Tries the points by vote and, where an image wants it, those from all equalities. One axis has
  // no votes.
  Status Test(const Certifier<T>& certifier, Plan* plan) const {
    const bool votes = p_.axes.size() > 1;
    Status status = certifier.Update();
    if (status.error == cudaSuccess && votes) status = Try(certifier, Step::kVote, true, plan);
    if (status.error == cudaSuccess && (!votes || plan->union_wanted)) {
      status = Try(certifier, Step::kUnion, !votes, plan);
    }
    return status;
  }

  Status Try(const Certifier<T>& certifier, Step step, bool is_first, Plan* plan) const {
    const Status status =
        certifier.Candidate(step == Step::kVote, point_, found_.gap, found_.bound);
    return status.error == cudaSuccess ? Next(step, is_first, plan) : status;
  }

  // Makes the plan after a step, and waits for it.
  Status Next(Step step, bool is_first_test, Plan* plan) const {
    LaunchSequence launches;
    launches.Add("MakePlan", MakePlan<T>, Grid{1, kPlanThreads, 0, stream_}, p_.numbers, found_,
                 p_.images, step, is_first_test, wanted_, plan_);
    if (step == Step::kVote || step == Step::kUnion) {
      launches.Add("TakeBetter", TakeBetter<T>, BySample(), samples_, image_of_, found_.better,
                   point_, p_.y);
    }
    if (launches.status().error != cudaSuccess) return launches.status();
    cudaError_t error = cudaMemcpyAsync(plan, plan_, sizeof(Plan), cudaMemcpyDeviceToHost, stream_);
    if (error == cudaSuccess) error = cudaStreamSynchronize(stream_);
    return {error, "MakePlan"};
  }

  cudaStream_t stream_;
  SolveOperands<T>& p_;
  int64_t samples_;
  WorkSpace space_;
  Plan* plan_;
  Findings<T> found_;
  int* wanted_;
  int* image_of_;
  T* point_;
};

}  // namespace

template <typename T>
Status SolveImages(cudaStream_t stream, SolveOperands<T> operands) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (SolvedOnChip(operands)) return SolveOnChip(stream, operands);
  }
  return Solver<T>(stream, operands).Run();
}

template Status SolveImages(cudaStream_t, SolveOperands<float>);
template Status SolveImages(cudaStream_t, SolveOperands<double>);

}  // namespace jaxtv::cuda
