// SPDX-License-Identifier: MIT
#include <algorithm>
#include <limits>

#include "cuda/common/launch.h"
#include "cuda/images/certificate_steps.h"
#include "cuda/images/gap.h"

namespace jaxtv::cuda {
namespace {

constexpr int kImageThreads = 128;

template <typename T>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    GapOfLines(const Lines lines, const __grid_constant__ WeightLayout weights,
               const T* __restrict__ lam, const T* __restrict__ z, const T* __restrict__ p,
               const double* __restrict__ residual, double* __restrict__ squares,
               double* __restrict__ excesses, const WantedLines wanted) {
  const LinePart part(lines);
  if (!AnyWanted(part, lines, wanted)) return;
  GapOfPart(part, lines, weights.At(lam, part.line), z, p, residual, squares, excesses);
}

// Adds up the terms over the lines of each image, and adds them to those of the axes before, unless
// this is the first one. After the last axis, writes the results, rounded up.
template <typename T>
__global__ void __launch_bounds__(kImageThreads)
    GapOfImages(const __grid_constant__ WeightLayout first,
                const __grid_constant__ WeightLayout member, const int64_t members,
                const bool is_first, const bool is_last, const double rounding,
                const double* __restrict__ squares, const double* __restrict__ excesses,
                GapTerms* __restrict__ so_far, T* __restrict__ gap, T* __restrict__ bound,
                const WantedLines wanted) {
  __shared__ GapTerms partial[kImageThreads];
  const int64_t image = blockIdx.x, start = first.At(squares, image).data - squares;
  if (!wanted.All() && !wanted.wanted[image]) return;
  GapTerms mine{0.0, 0.0};
  for (int64_t j = threadIdx.x; j < members; j += kImageThreads) {
    const int64_t line = start + (member.At(squares, j).data - squares);
    mine.square += squares[line];
    mine.excess += excesses[line];
  }
  partial[threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.x != 0) return;
  GapTerms total = is_first ? GapTerms{0.0, 0.0} : so_far[image];
  const int used = members < kImageThreads ? int(members) : kImageThreads;
  for (int t = 0; t < used; ++t) {
    total.square += partial[t].square;
    total.excess += partial[t].excess;
  }
  so_far[image] = total;
  if (!is_last) return;
  WriteGap(total, rounding, &gap[image], &bound[image]);
}

}  // namespace

// The terms are at least 0, so each addition adds at most half an epsilon.
template <typename T>
double GapRounding(const std::vector<SolvedAxis<T>>& axes) {
  int64_t additions = 0;
  for (const SolvedAxis<T>& axis : axes) {
    const int64_t of_line = CeilDiv(axis.lines.length, PartsOf(axis.lines));
    const int64_t of_image = CeilDiv(axis.members, kImageThreads) + kImageThreads;
    additions = std::max(additions, of_line + kMaxParts + of_image);
  }
  constexpr int64_t kOthers = 8;  // for products, the square roots and the sum over axes
  return std::numeric_limits<double>::epsilon() / 2 * double(additions + kOthers);
}

template double GapRounding(const std::vector<SolvedAxis<float>>&);

template <typename T>
Status GapAndBound(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images,
                   const T* z, const std::vector<T*>& duals, const double* residual,
                   const GapSpace& space, const WantedLines& wanted, T* gap, T* bound) {
  const Grid by_image{images, kImageThreads, 0, stream};
  LaunchSequence launches;
  for (size_t a = 0; a < axes.size(); ++a) {
    const SolvedAxis<T>& axis = axes[a];
    launches.Add("GapOfLines", GapOfLines<T>, LinePartGrid(axis.lines, stream), axis.lines,
                 axis.weights, axis.lam, z, duals[a], a == 0 ? residual : nullptr, space.squares,
                 space.excesses, wanted);
    launches.Add("GapOfImages", GapOfImages<T>, by_image, axis.first, axis.member, axis.members,
                 a == 0, a + 1 == axes.size(), GapRounding(axes), space.squares, space.excesses,
                 space.of_images, gap, bound, wanted);
  }
  return launches.status();
}

template Status GapAndBound(cudaStream_t, const std::vector<SolvedAxis<float>>&, int64_t,
                            const float*, const std::vector<float*>&, const double*,
                            const GapSpace&, const WantedLines&, float*, float*);
template Status GapAndBound(cudaStream_t, const std::vector<SolvedAxis<double>>&, int64_t,
                            const double*, const std::vector<double*>&, const double*,
                            const GapSpace&, const WantedLines&, double*, double*);

}  // namespace jaxtv::cuda
