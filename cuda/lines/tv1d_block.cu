// SPDX-License-Identifier: MIT
// One block for each line: threshold divide and conquer, in rounds of scans (tv1d_divide.h).
#include "cuda/common/launch.h"
#include "cuda/common/scan.h"
#include "cuda/lines/kernel_choice.h"
#include "cuda/lines/tv1d.h"
#include "cuda/lines/tv1d_divide.h"
#include "cuda/lines/work_space.h"

namespace jaxtv::cuda {
namespace {

// With `kOnChip` the work space is dynamic shared memory: n levels, n samples of x, n marks. Else
// it is `scratch`.
template <typename T, int kThreads, bool kOnChip>
__global__ void __launch_bounds__(kThreads, kLargeBlock / kThreads)
    ProxBlock(const Lines lines, const __grid_constant__ WeightLayout weights,
              const T* __restrict__ x, const T* __restrict__ lam, T* __restrict__ y,
              const ProxScratch scratch, const WantedLines wanted) {
  const int64_t n = lines.length, line = blockIdx.x;
  if (!wanted.Has(lines, line)) return;
  const Line<const T> in = lines.At(x, line);
  const Line<const T> lambda = weights.At(lam, line);
  const Line<T> out = lines.At(y, line);

  const Summary<T> summary = Summarize<T, kThreads>(in, lambda, n, {0, n});
  if (!summary.NeedsSolving()) {
    WriteUnsolved<T, kThreads>(summary, in, out, {0, n});
    return;
  }
  const T unit = summary.Unit();
  const auto w = summary.Weights(lambda, n);
  if constexpr (kOnChip) {
    JAXTV_DYNAMIC_SHARED(double, level);
    T* const samples = reinterpret_cast<T*>(level + n);
    signed char* const marks = reinterpret_cast<signed char*>(samples + n);
    for (int64_t k = threadIdx.x; k < n; k += kThreads) samples[k] = in[k] * unit;
    DividedLine<T, kThreads>{{{samples, 1}, T(1)}, w, unit, n, marks, level}.Solve(out);
  } else {
    DividedLine<T, kThreads>{{in, unit}, w, unit, n, scratch.Marks(line), scratch.Levels(line)}
        .Solve(out);
  }
}

}  // namespace

template <typename T>
Status ProxTv1dByBlocks(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                        const T* x, const T* lam, T* y, void* scratch, const WantedLines& wanted) {
  const int64_t n = lines.length;
  const auto launch = [&](auto* kernel, int threads, size_t shared) {
    return Launch("ProxBlock", kernel, Grid{lines.count(), threads, shared, stream}, lines, weights,
                  x, lam, y, ProxScratch(scratch, lines), wanted);
  };
  if (ProxScratchBytes(n) > 0) return launch(ProxBlock<T, kLargeBlock, false>, kLargeBlock, 0);
  const size_t shared = size_t(n) * (sizeof(double) + sizeof(T) + sizeof(signed char));
  if (n > kSmallBlockLength) return launch(ProxBlock<T, kLargeBlock, true>, kLargeBlock, shared);
  return launch(ProxBlock<T, kSmallBlock, true>, kSmallBlock, shared);
}

template Status ProxTv1dByBlocks(cudaStream_t, const Lines&, const WeightLayout&, const float*,
                                 const float*, float*, void*, const WantedLines&);
template Status ProxTv1dByBlocks(cudaStream_t, const Lines&, const WeightLayout&, const double*,
                                 const double*, double*, void*, const WantedLines&);

}  // namespace jaxtv::cuda
