// SPDX-License-Identifier: MIT
#include <algorithm>
#include <limits>

#include "cuda/common/launch.h"
#include "cuda/images/gap.h"
#include "cuda/images/line_parts.h"

namespace jaxtv::cuda {
namespace {

constexpr int kImageThreads = 128;

struct Sum {
  double value;

  __device__ Sum Then(const Sum& next) const { return {value + next.value}; }

  template <typename F>
  __device__ Sum Each(const F& f) const {
    return {f(value)};
  }
};

// The terms of the gap at z over each line along an axis, of which none is negative: |z - r|^2 if
// the residual is given, and the sum of w |Dz| - p Dz.
template <typename T>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    GapOfLines(const Lines lines, const __grid_constant__ WeightLayout weights,
               const T* __restrict__ lam, const T* __restrict__ z, const T* __restrict__ p,
               const double* __restrict__ residual, double* __restrict__ squares,
               double* __restrict__ excesses) {
  const LinePart part(lines);
  const Line<const T> w = weights.At(lam, part.line);
  const Line<const T> point = lines.At(z, part.line), dual = lines.At(p, part.line);
  Sum square{0.0}, excess{0.0};
  part.ForSpread([&](int64_t k) {
    if (residual != nullptr) {
      const double off = double(point[k]) - lines.At(residual, part.line)[k];
      square.value += off * off;
    }
    if (k + 1 == lines.length) return;
    const double jump = double(point[k + 1]) - double(point[k]);
    if (jump == 0.0) return;  // an infinite weight on no jump costs nothing
    const double along = jump > 0.0 ? double(dual[k]) : -double(dual[k]);
    excess.value += fabs(jump) * (double(w[k]) - along);  // exactly 0 where p is w
  });
  const Sum zero{0.0};
  square = BeforePart<Direction::kForward>(part, square, zero).Then(square);
  excess = BeforePart<Direction::kForward>(part, excess, zero).Then(excess);
  if (part.length == 0 || part.index + 1 != part.count) return;
  squares[part.line] = square.value;
  excesses[part.line] = excess.value;
}

__device__ float RoundUp(double value, float) { return __double2float_ru(value); }
__device__ double RoundUp(double value, double) { return value; }

// A bound of the relative rounding error of the sums of GapOfLines and GapOfImages: their terms are
// at least 0, so each addition adds at most half an epsilon.
template <typename T>
double Rounding(const std::vector<SolvedAxis<T>>& axes) {
  int64_t additions = 0;
  for (const SolvedAxis<T>& axis : axes) {
    const int64_t of_line = CeilDiv(axis.lines.length, PartsOf(axis.lines));
    const int64_t of_image = CeilDiv(axis.members, kImageThreads) + kImageThreads;
    additions = std::max(additions, of_line + kMaxParts + of_image);
  }
  constexpr int64_t kOthers = 8;  // for products, the square roots and the sum over axes
  return std::numeric_limits<double>::epsilon() / 2 * double(additions + kOthers);
}

// Adds up the terms over the lines of each image, and adds them to those of the axes before, unless
// this is the first one. After the last axis, writes the results, rounded up.
template <typename T>
__global__ void __launch_bounds__(kImageThreads)
    GapOfImages(const __grid_constant__ WeightLayout first,
                const __grid_constant__ WeightLayout member, const int64_t members,
                const bool is_first, const bool is_last, const double rounding,
                const double* __restrict__ squares, const double* __restrict__ excesses,
                GapTerms* __restrict__ so_far, T* __restrict__ gap, T* __restrict__ bound) {
  __shared__ GapTerms partial[kImageThreads];
  const int64_t image = blockIdx.x, start = first.At(squares, image).data - squares;
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
  for (const GapTerms& part : partial) {
    total.square += part.square;
    total.excess += part.excess;
  }
  so_far[image] = total;
  if (!is_last) return;
  // |z - x*| <= (c + sqrt(4 gap - c^2)) / 2 with c = |z - r|.
  const double distance = sqrt(total.square) + sqrt(total.square + 4.0 * total.excess);
  gap[image] = RoundUp((1.0 + rounding) * (total.square / 2.0 + total.excess), T());
  bound[image] = RoundUp((1.0 + rounding) * (distance / 2.0), T());
}

}  // namespace

template <typename T>
Status GapAndBound(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images,
                   const T* z, const std::vector<T*>& duals, const double* residual,
                   const GapSpace& space, T* gap, T* bound) {
  const Grid by_image{images, kImageThreads, 0, stream};
  LaunchSequence launches;
  for (size_t a = 0; a < axes.size(); ++a) {
    const SolvedAxis<T>& axis = axes[a];
    launches.Add("GapOfLines", GapOfLines<T>, LinePartGrid(axis.lines, stream), axis.lines,
                 axis.weights, axis.lam, z, duals[a], a == 0 ? residual : nullptr, space.squares,
                 space.excesses);
    launches.Add("GapOfImages", GapOfImages<T>, by_image, axis.first, axis.member, axis.members,
                 a == 0, a + 1 == axes.size(), Rounding(axes), space.squares, space.excesses,
                 space.of_images, gap, bound);
  }
  return launches.status();
}

template Status GapAndBound(cudaStream_t, const std::vector<SolvedAxis<float>>&, int64_t,
                            const float*, const std::vector<float*>&, const double*,
                            const GapSpace&, float*, float*);
template Status GapAndBound(cudaStream_t, const std::vector<SolvedAxis<double>>&, int64_t,
                            const double*, const std::vector<double*>&, const double*,
                            const GapSpace&, double*, double*);

}  // namespace jaxtv::cuda
