// SPDX-License-Identifier: MIT
// One thread for each line. The work space holds the same sample of all lines side by side, so that
// neighbouring threads read and write neighbouring numbers as long as they are in step.
#include "cuda/common/launch.h"
#include "cuda/lines/tv1d_mass.h"

namespace jaxtv::cuda {
namespace {

constexpr int kMassThreads = 64;

template <typename T>
__global__ void __launch_bounds__(kMassThreads)
    ProxMassLines(const Lines lines, const __grid_constant__ WeightLayout weights,
                  const __grid_constant__ WeightLayout masses, const T* __restrict__ x,
                  const T* __restrict__ lam, const T* __restrict__ mass, T* __restrict__ y,
                  double* __restrict__ scratch) {
  const int64_t line = int64_t(blockIdx.x) * kMassThreads + threadIdx.x;
  if (line >= lines.count()) return;
  ProxMassLine<T>(lines.At(x, line), weights.At(lam, line), masses.At(mass, line), lines.length,
                  lines.At(y, line), {scratch + line, lines.length, lines.count()});
}

}  // namespace

template <typename T>
Status ProxTv1dMass(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                    const WeightLayout& masses, const T* x, const T* lam, const T* mass, T* y,
                    double* scratch) {
  const Grid grid{CeilDiv(lines.count(), kMassThreads), kMassThreads, 0, stream};
  return Launch("ProxMassLines", ProxMassLines<T>, grid, lines, weights, masses, x, lam, mass, y,
                scratch);
}

template Status ProxTv1dMass(cudaStream_t, const Lines&, const WeightLayout&, const WeightLayout&,
                             const float*, const float*, const float*, float*, double*);
template Status ProxTv1dMass(cudaStream_t, const Lines&, const WeightLayout&, const WeightLayout&,
                             const double*, const double*, const double*, double*, double*);

}  // namespace jaxtv::cuda
