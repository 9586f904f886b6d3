// SPDX-License-Identifier: MIT
#include "cuda/common/launch.h"
#include "cuda/images/component_steps.h"
#include "cuda/images/components.h"
#include "cuda/images/samples.h"

namespace jaxtv::cuda {
namespace {

template <typename Label>
__device__ bool IsWanted(int64_t at, const Components<Label>& components,
                         const WantedLines& wanted) {
  return at < components.samples && wanted.HasSample(at);
}

template <typename Label>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    LabelRuns(const Lines lines, const unsigned char* __restrict__ joined,
              const Components<Label> components, const WantedLines wanted) {
  const LinePart part(lines);
  if (AnyWanted(part, lines, wanted)) LabelPart(part, lines, joined, components);
}

template <typename Label>
__global__ void __launch_bounds__(kSampleThreads)
    LinkRuns(const int64_t step, const unsigned char* __restrict__ joined, const int64_t run_step,
             const unsigned char* __restrict__ in_run, const Components<Label> components,
             const WantedLines wanted) {
  const int64_t at = SampleOfThread();
  if (!IsWanted(at, components, wanted)) return;
  LinkSample(at, step, joined, run_step, in_run, components);
}

template <typename Value, typename Label>
__global__ void __launch_bounds__(kSampleThreads)
    Flatten(const Value* __restrict__ values, const Components<Label> components,
            const WantedLines wanted) {
  const int64_t at = SampleOfThread();
  if (IsWanted(at, components, wanted)) FlattenSample(at, values, components);
}

template <typename Value, typename Label>
__global__ void __launch_bounds__(kSampleThreads)
    AddToRoots(const Value* __restrict__ values, const Components<Label> components,
               const WantedLines wanted) {
  const int64_t at = SampleOfThread();
  AddToRoot(at, IsWanted(at, components, wanted), values, components);
}

template <typename T, typename Value, typename Label>
__global__ void __launch_bounds__(kSampleThreads)
    WriteMeans(const Value* __restrict__ values, const T* __restrict__ level, T* __restrict__ mean,
               const Components<Label> components, const WantedLines wanted) {
  const int64_t at = SampleOfThread();
  if (!IsWanted(at, components, wanted)) return;
  const T value = MeanAt<T>(at, values, components);
  // A NaN is equal to no neighbour: a component of one sample.
  mean[at] = level == nullptr || level[at] == level[at] ? value : NoDerivative(value);
}

}  // namespace

template <typename T, typename Value, typename Label>
Status MeanOfComponents(cudaStream_t stream, const std::vector<Lines>& axes,
                        const std::vector<const unsigned char*>& joined, const Value* values,
                        const T* level, T* mean, const Components<Label>& components,
                        const WantedLines& wanted) {
  const Lines& runs = axes.back();
  const Grid grid = SampleGrid(components.samples, stream);
  LaunchSequence launches;
  launches.Add("LabelRuns", LabelRuns<Label>, LinePartGrid(runs, stream), runs, joined.back(),
               components, wanted);
  for (size_t a = 0; a + 1 < axes.size(); ++a) {
    launches.Add("LinkRuns", LinkRuns<Label>, grid, axes[a].inner, joined[a], runs.inner,
                 joined.back(), components, wanted);
  }
  launches.Add("Flatten", Flatten<Value, Label>, grid, values, components, wanted);
  launches.Add("AddToRoots", AddToRoots<Value, Label>, grid, values, components, wanted);
  launches.Add("WriteMeans", WriteMeans<T, Value, Label>, grid, values, level, mean, components,
               wanted);
  return launches.status();
}

#define JAXTV_INSTANTIATE(T, Value, Label)                                                 \
  template Status MeanOfComponents(cudaStream_t, const std::vector<Lines>&,                \
                                   const std::vector<const unsigned char*>&, const Value*, \
                                   const T*, T*, const Components<Label>&, const WantedLines&);
JAXTV_INSTANTIATE(float, float, int)
JAXTV_INSTANTIATE(float, double, int)
JAXTV_INSTANTIATE(double, double, int)
JAXTV_INSTANTIATE(float, float, int64_t)
JAXTV_INSTANTIATE(float, double, int64_t)
JAXTV_INSTANTIATE(double, double, int64_t)
#undef JAXTV_INSTANTIATE

}  // namespace jaxtv::cuda
