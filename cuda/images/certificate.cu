// SPDX-License-Identifier: MIT
// The steps of cpu/images/certificate.h, axis by axis: duals and residual, vote, means over
// components, gap. All sums are in double and in an order that depends on the shape of an image
// alone.
#include "cuda/common/launch.h"
#include "cuda/images/certificate.h"
#include "cuda/images/certificate_steps.h"
#include "cuda/images/components.h"
#include "cuda/images/gap.h"
#include "cuda/images/majority_vote.h"
#include "cuda/images/work_space.h"

namespace jaxtv::cuda {
namespace {

template <typename T, bool kStaged>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    ReadDuals(const Lines lines, const __grid_constant__ WeightLayout weights,
              const T* __restrict__ lam, const T* __restrict__ result, const T* __restrict__ dual,
              const T* __restrict__ x, T* __restrict__ p, double* __restrict__ residual,
              unsigned char* __restrict__ joined, const WantedLines wanted) {
  const LinePart part(lines);
  if (!AnyWanted(part, lines, wanted)) {  // a vote looks at edges of the image before
    part.ForSpread([&](int64_t k) { lines.At(joined, part.line)[k] = 0; });
    return;
  }
  const Line<const T> w = weights.At(lam, part.line);
  if constexpr (kStaged) {
    JAXTV_DYNAMIC_SHARED(T, cells);
    ReadDualsOfStaged(part, lines, w, result, dual, x, p, residual, joined, cells);
  } else {
    ReadDualsOfPart(part, lines, w, result, dual, x, p, residual, joined);
  }
}

}  // namespace

template <typename T>
Certifier<T>::Certifier(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images,
                        const T* x, const WantedLines& wanted, void* scratch)
    : stream_(stream),
      axes_(axes),
      images_(images),
      samples_(SampleCount(axes)),
      x_(x),
      wanted_(wanted) {
  WorkSpace space(scratch);
  gaps_ = space.Take<GapTerms>(images);
  residual_ = space.Take<double>(samples_);
  for (size_t a = 0; a < axes.size(); ++a) duals_.push_back(space.Take<T>(samples_));
  joined_ = space.TakeEdges(samples_, axes.size());
  voted_ = space.TakeEdges(samples_, axes.size());
  components_ = space.Take<double>(0);
}

template <typename T>
Status Certifier<T>::Update() const {
  LaunchSequence launches;
  for (size_t a = 0; a < axes_.size(); ++a) {
    const SolvedAxis<T>& axis = axes_[a];
    const bool staged = PartsAreStaged(axis.lines, 2 * sizeof(T));
    Grid grid = LinePartGrid(axis.lines, stream_);
    if (staged) grid.shared_bytes = size_t(StagedBytes(axis.lines, 2 * sizeof(T)));
    launches.Add("ReadDuals", staged ? ReadDuals<T, true> : ReadDuals<T, false>, grid, axis.lines,
                 axis.weights, axis.lam, axis.result, axis.dual, a == 0 ? x_ : nullptr, duals_[a],
                 residual_, joined_[a], wanted_);
  }
  return launches.status();
}

template <typename T>
Status Certifier<T>::Candidate(bool vote, T* z, T* gap, T* bound) const {
  return samples_ < kNarrowLabels ? CandidateWithLabels<int>(vote, z, gap, bound)
                                  : CandidateWithLabels<int64_t>(vote, z, gap, bound);
}

template <typename T>
template <typename Label>
Status Certifier<T>::CandidateWithLabels(bool vote, T* z, T* gap, T* bound) const {
  const size_t count = axes_.size();
  Status status;
  for (size_t a = 0; vote && a < count && status.error == cudaSuccess; ++a) {
    const size_t along = a + 1 < count ? count - 1 : 0;
    status = VoteOnEdges(stream_, {axes_[along].lines, axes_[a].lines.inner, joined_[a],
                                   joined_[along], voted_[a], wanted_});
  }
  if (status.error != cudaSuccess) return status;
  const auto components = WorkSpace(components_).TakeComponents<Label>(samples_);
  const auto& fused = vote ? voted_ : joined_;
  const T* const no_level = nullptr;
  status =
      MeanOfComponents<T>(stream_, LinesOf(axes_), {fused.begin(), fused.end()},
                          static_cast<const double*>(residual_), no_level, z, components, wanted_);
  if (status.error != cudaSuccess) return status;
  // The sums over components are not needed any more.
  const GapSpace sums{reinterpret_cast<double*>(components.high),
                      reinterpret_cast<double*>(components.low), gaps_};
  return GapAndBound(stream_, axes_, images_, static_cast<const T*>(z), duals_, residual_, sums,
                     wanted_, gap, bound);
}

template class Certifier<float>;
template class Certifier<double>;

}  // namespace jaxtv::cuda
