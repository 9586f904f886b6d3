// SPDX-License-Identifier: MIT
#include "cuda/common/launch.h"
#include "cuda/images/component_mean.h"
#include "cuda/images/components.h"
#include "cuda/images/line_parts.h"
#include "cuda/images/work_space.h"

namespace jaxtv::cuda {
namespace {

// The edges along an axis that join: those of positive weight with equal ends.
template <typename T>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    JoinEqual(const Lines lines, const __grid_constant__ WeightLayout weights,
              const T* __restrict__ lam, const T* __restrict__ y,
              unsigned char* __restrict__ joined) {
  const LinePart part(lines);
  const Line<const T> w = weights.At(lam, part.line), level = lines.At(y, part.line);
  const Line<unsigned char> out = lines.At(joined, part.line);
  part.ForSpread(
      [&](int64_t k) { out[k] = k + 1 < lines.length && level[k] == level[k + 1] && w[k] > T(0); });
}

template <typename Label, typename T>
Status MeanWithLabels(cudaStream_t stream, const std::vector<TvAxis<T>>& axes, const T* y,
                      const T* v, T* mean, void* scratch) {
  const int64_t samples = SampleCount(axes);
  WorkSpace space(scratch);
  const auto components = space.TakeComponents<Label>(samples);
  const auto joined = space.TakeEdges(samples, axes.size());
  LaunchSequence launches;
  for (size_t a = 0; a < axes.size(); ++a) {
    const Lines& lines = axes[a].lines;
    launches.Add("JoinEqual", JoinEqual<T>, LinePartGrid(lines, stream), lines, axes[a].weights,
                 axes[a].lam, y, joined[a]);
  }
  if (launches.status().error != cudaSuccess) return launches.status();
  return MeanOfComponents<T>(stream, LinesOf(axes), {joined.begin(), joined.end()}, v, y, mean,
                             components);
}

}  // namespace

template <typename T>
Status ComponentMean(cudaStream_t stream, const std::vector<TvAxis<T>>& axes, const T* y,
                     const T* v, T* mean, void* scratch) {
  const bool narrow = SampleCount(axes) < kNarrowLabels;
  const auto run = narrow ? MeanWithLabels<int, T> : MeanWithLabels<int64_t, T>;
  return run(stream, axes, y, v, mean, scratch);
}

template Status ComponentMean(cudaStream_t, const std::vector<TvAxis<float>>&, const float*,
                              const float*, float*, void*);
template Status ComponentMean(cudaStream_t, const std::vector<TvAxis<double>>&, const double*,
                              const double*, double*, void*);

}  // namespace jaxtv::cuda
