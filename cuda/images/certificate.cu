// SPDX-License-Identifier: MIT
// The steps of cpu/images/certificate.h, axis by axis: duals and residual, vote, means over
// components, gap. All sums are in double and in an order that depends on the shape of an image
// alone.
#include "cuda/common/launch.h"
#include "cuda/images/certificate.h"
#include "cuda/images/components.h"
#include "cuda/images/gap.h"
#include "cuda/images/line_parts.h"
#include "cuda/images/majority_vote.h"
#include "cuda/images/work_space.h"

namespace jaxtv::cuda {
namespace {

// The dual of each edge along an axis: the running sum of -v, clamped to [-w, w], and exactly +-w
// at a jump of the line's result. A sum of clamped steps is a scan of maps (scan.h). Adds the term
// of these duals to the residual x - D^T p, which starts as x if x is given.
template <typename T>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    ReadDuals(const Lines lines, const __grid_constant__ WeightLayout weights,
              const T* __restrict__ lam, const T* __restrict__ result, const T* __restrict__ dual,
              const T* __restrict__ x, T* __restrict__ p, double* __restrict__ residual,
              unsigned char* __restrict__ joined) {
  const LinePart part(lines);
  const Line<const T> w = weights.At(lam, part.line);
  const Line<const T> y = lines.At(result, part.line), v = lines.At(dual, part.line);
  const int64_t edges = lines.length - 1;
  const auto edge = [&](int64_t k) {
    const double weight = double(w[k]);
    const double lo = y[k + 1] > y[k] ? weight : -weight;
    const double hi = y[k + 1] < y[k] ? -weight : weight;
    return ClampedSum{-double(v[k]), lo, hi};
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const ClampedSum identity{0.0, -kInfinity, kInfinity};
  ClampedSum mine = identity;
  for (int64_t k = part.begin; k < part.end && k < edges; ++k) mine = mine.Then(edge(k));
  double sum = BeforePart<Direction::kForward>(mine, identity)(0.0);

  const Line<T> out = lines.At(p, part.line);
  const Line<unsigned char> equal = lines.At(joined, part.line);
  for (int64_t k = part.begin; k < part.end; ++k) {
    if (k < edges) sum = edge(k)(sum);
    out[k] = k < edges ? T(sum) : T(0);
    equal[k] = k < edges && y[k] == y[k + 1] && w[k] > T(0);
  }
  __syncthreads();  // before a thread reads the last dual of the part before
  const Line<double> r = lines.At(residual, part.line);
  for (int64_t k = part.begin; k < part.end; ++k) {
    const double before = x != nullptr ? double(lines.At(x, part.line)[k]) : r[k];
    r[k] = before + (double(out[k]) - (k > 0 ? double(out[k - 1]) : 0.0));
  }
}

template <typename Label, typename T>
Status CertifyWithLabels(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes,
                         int64_t images, const bool* vote, const T* x, T* z, T* gap, T* bound,
                         void* scratch) {
  const size_t count = axes.size();
  const int64_t samples = SampleCount(axes);
  WorkSpace space(scratch);
  GapTerms* const of_images = space.Take<GapTerms>(images);
  double* const residual = space.Take<double>(samples);
  const auto components = space.TakeComponents<Label>(samples);
  std::vector<T*> duals;
  for (size_t a = 0; a < count; ++a) duals.push_back(space.Take<T>(samples));
  const auto joined = space.TakeEdges(samples, count);
  const auto kept = space.TakeEdges(samples, count);

  LaunchSequence launches;
  for (size_t a = 0; a < count; ++a) {
    const SolvedAxis<T>& axis = axes[a];
    launches.Add("ReadDuals", ReadDuals<T>, LinePartGrid(axis.lines, stream), axis.lines,
                 axis.weights, axis.lam, axis.result, axis.dual, a == 0 ? x : nullptr, duals[a],
                 residual, joined[a]);
  }
  Status status = launches.status();
  for (size_t a = 0; count > 1 && a < count && status.error == cudaSuccess; ++a) {
    const size_t along = a + 1 < count ? count - 1 : 0;
    status = VoteOnEdges(stream, {axes[along].lines, axes[along].votes, vote, axes[a].lines.inner,
                                  joined[a], joined[along], kept[a]});
  }
  if (status.error != cudaSuccess) return status;
  const auto& fused = count > 1 ? kept : joined;
  const T* const no_level = nullptr;
  status = MeanOfComponents<T>(stream, LinesOf(axes), {fused.begin(), fused.end()},
                               static_cast<const double*>(residual), no_level, z, components);
  if (status.error != cudaSuccess) return status;
  // The sums over components are not needed any more.
  const GapSpace sums{reinterpret_cast<double*>(components.high),
                      reinterpret_cast<double*>(components.low), of_images};
  return GapAndBound(stream, axes, images, static_cast<const T*>(z), duals, residual, sums, gap,
                     bound);
}

}  // namespace

template <typename T>
Status Certify(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images,
               const bool* vote, const T* x, T* z, T* gap, T* bound, void* scratch) {
  const bool narrow = SampleCount(axes) < kNarrowLabels;
  const auto run = narrow ? CertifyWithLabels<int, T> : CertifyWithLabels<int64_t, T>;
  return run(stream, axes, images, vote, x, z, gap, bound, scratch);
}

template Status Certify(cudaStream_t, const std::vector<SolvedAxis<float>>&, int64_t, const bool*,
                        const float*, float*, float*, float*, void*);
template Status Certify(cudaStream_t, const std::vector<SolvedAxis<double>>&, int64_t, const bool*,
                        const double*, double*, double*, double*, void*);

}  // namespace jaxtv::cuda
