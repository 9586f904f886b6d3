// SPDX-License-Identifier: MIT
#include <limits>

#include "cuda/common/launch.h"
#include "cuda/images/certificate.h"
#include "cuda/images/line_parts.h"
#include "cuda/images/samples.h"
#include "cuda/images/solve.h"
#include "cuda/images/work_space.h"

namespace jaxtv::cuda {
namespace {

constexpr int kPlanThreads = 256;
constexpr int kVainTests = 3;  // tests without progress, in a row, that end the sweeps

// What the host is told.
struct Plan {
  int active;        // whether any image goes on
  int sweeps;        // the most that an image makes before its next test
  int union_wanted;  // whether to try the points from all equalities too, before going on
};

// What a test has found for each image, and the bound before the test.
template <typename T>
struct Findings {
  T *gap, *bound, *before;
  int* better;
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

template <typename T>
__device__ void StartImage(const ImageNumbers<T>& n, int64_t i) {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  n.gap[i] = n.bound[i] = n.energy[i] = n.moved[i] = kInfinity;
  n.momentum[i] = T(1);
  n.beta[i] = T(0);
  n.count[i] = n.vain[i] = 0;
  n.near[i] = n.target[i] / T(2);
  n.due[i] = min(n.first_test[i], n.max_sweeps[i]);
  n.active[i] = n.max_sweeps[i] > 0;
}

template <typename T>
__device__ bool WantsUnion(const ImageNumbers<T>& n, int64_t i) {
  const bool ready = n.count[i] >= n.first_union[i] || n.moved[i] <= n.rounding[i];
  return n.active[i] && n.bound[i] > n.target[i] && ready;
}

// Takes what was found if it is wanted and better.
template <typename T>
__device__ void Judge(const ImageNumbers<T>& n, const Findings<T>& found, bool wanted, int64_t i) {
  found.better[i] = wanted && found.bound[i] < n.bound[i];
  if (!found.better[i]) return;
  n.gap[i] = found.gap[i];
  n.bound[i] = found.bound[i];
}

// How many sweeps to make before the next test at the latest, as by _next_test in
// jaxtv/_plain/alternating.py.
template <typename T>
__device__ int Ahead(const ImageNumbers<T>& n, bool still, int64_t i) {
  const int count = n.count[i];
  if (still) return n.vain[i] > 0 ? max(count / 2, 3) : 3;
  const double growth = sqrt(double(n.bound[i]) / double(n.target[i]));
  const double ahead = ceil(double(count) * (growth - 1.0)) + 1.0;
  const int most = max(count, 3);
  return ahead < double(most) ? int(ahead) : most;
}

// After a test: whether the image goes on, and when its next test is due, as by _next_test.
template <typename T>
__device__ void Conclude(const ImageNumbers<T>& n, T before, int64_t i) {
  if (!n.active[i]) return;
  const bool still = n.moved[i] <= n.rounding[i];
  n.vain[i] = still && n.bound[i] > T(0.9) * before ? n.vain[i] + 1 : 0;
  n.active[i] = n.bound[i] > n.target[i] && n.count[i] < n.max_sweeps[i] && n.vain[i] < kVainTests;
  const double missing = 0.95 * double(n.bound[i]) / double(n.target[i]);
  const bool moves = n.active[i] && !still;
  n.near[i] = moves ? T(double(n.moved[i]) * pow(missing, -1.0 / 0.85)) : T(0);
  n.moved[i] = std::numeric_limits<T>::infinity();
  n.due[i] = n.count[i] + min(Ahead(n, still, i), n.max_sweeps[i] - n.count[i]);
}

enum class Step { kStart, kVote, kUnion };

// What is due for each image after a step, and the plan. One block has all images.
template <typename T>
__global__ void __launch_bounds__(kPlanThreads)
    MakePlan(const __grid_constant__ ImageNumbers<T> n, const __grid_constant__ Findings<T> found,
             const int64_t images, const Step step, const bool is_first_test,
             Plan* __restrict__ plan) {
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
        image_of_(space_.Take<int>(samples_)),
        point_(space_.Take<T>(samples_)) {
    p_.numbers.sweeping = space_.Take<int>(p_.images);
    p_.numbers.beta = Numbers();
    for (SolvedAxis<T>& axis : p_.axes) axis.input = space_.Take<T>(samples_);
  }

  Status Run() {
    void* const rest = space_.Take<double>(0);
    const Certifier<T> certifier(stream_, p_.axes, p_.images, p_.x, rest);
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
                 p_.images, step, is_first_test, plan_);
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
  int* image_of_;
  T* point_;
};

}  // namespace

template <typename T>
Status SolveImages(cudaStream_t stream, SolveOperands<T> operands) {
  return Solver<T>(stream, operands).Run();
}

template Status SolveImages(cudaStream_t, SolveOperands<float>);
template Status SolveImages(cudaStream_t, SolveOperands<double>);

}  // namespace jaxtv::cuda
