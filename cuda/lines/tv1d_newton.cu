// SPDX-License-Identifier: MIT
// One thread for each line, with its own steps and its own end, all in one launch. The work space
// holds the same edge of all lines side by side: neighbouring threads, which walk along their lines
// together, read and write neighbouring numbers.
#include "cuda/common/launch.h"
#include "cuda/lines/tv1d_newton.h"

namespace jaxtv::cuda {
namespace {

constexpr int kNewtonThreads = 64;
constexpr int kNewtonBlocks =
    4;  // minimum blocks per SM: without it nvcc caps registers and spills

template <typename T>
__global__ void __launch_bounds__(kNewtonThreads, kNewtonBlocks)
    NewtonLines(const Lines lines, const __grid_constant__ WeightLayout weights, int64_t max_steps,
                const T* __restrict__ x, const T* __restrict__ lam, T* __restrict__ y,
                int32_t* __restrict__ steps, double* __restrict__ scratch) {
  const int64_t count = lines.count();
  const int64_t line = int64_t(blockIdx.x) * kNewtonThreads + threadIdx.x;
  if (line >= count) return;
  const auto array = [&](int i) {
    return Line<double>{scratch + i * count * (lines.length - 1) + line, count};
  };
  steps[line] =
      int32_t(NewtonLine(lines.At(x, line), weights.At(lam, line), lines.length, max_steps,
                         NewtonScratch{array(0), array(1), array(2), array(3)}, lines.At(y, line)));
}

}  // namespace

template <typename T>
Status ProxTv1dNewton(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      int64_t max_steps, const T* x, const T* lam, T* y, int32_t* steps,
                      double* scratch) {
  const Grid grid{CeilDiv(lines.count(), kNewtonThreads), kNewtonThreads, 0, stream};
  return Launch("NewtonLines", NewtonLines<T>, grid, lines, weights, max_steps, x, lam, y, steps,
                scratch);
}

template Status ProxTv1dNewton(cudaStream_t, const Lines&, const WeightLayout&, int64_t,
                               const float*, const float*, float*, int32_t*, double*);
template Status ProxTv1dNewton(cudaStream_t, const Lines&, const WeightLayout&, int64_t,
                               const double*, const double*, double*, int32_t*, double*);

}  // namespace jaxtv::cuda
