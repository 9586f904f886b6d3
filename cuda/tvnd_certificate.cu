// SPDX-License-Identifier: MIT
// The certificate of cpu/certificate.h with the vote of cpu/vote.h, axis by axis. All sums are in
// double and in an order that depends on the shape of an image alone.
#include <algorithm>
#include <limits>

#include "cuda/launch.h"
#include "cuda/regime.h"
#include "cuda/tvnd.h"
#include "cuda/tvnd_chunks.h"
#include "cuda/tvnd_components.h"

namespace jaxtv::cuda {
namespace {

constexpr int kImageThreads = 128;

// Which edges along an axis join: those of positive weight with equal ends.
template <typename T>
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    JoinEqual(const Lines lines, const __grid_constant__ WeightLayout weights,
              const T* __restrict__ lam, const T* __restrict__ y,
              unsigned char* __restrict__ joined) {
  const Chunk chunk(lines);
  const Line<const T> w = weights.At(lam, chunk.line), level = lines.At(y, chunk.line);
  const Line<unsigned char> out = lines.At(joined, chunk.line);
  for (int64_t k = chunk.begin; k < chunk.end; ++k) {
    out[k] = k + 1 < lines.length && level[k] == level[k + 1] && w[k] > T(0);
  }
}

// The dual of each edge along an axis: the running sum of -v, clamped to [-w, w], and +-w at a jump
// of the line's result, exactly. A sum of clamped steps is a scan of maps (scan.h). Adds what the
// duals contribute to the residual x - D^T p, from x on if x is given.
template <typename T>
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    ReadDuals(const Lines lines, const __grid_constant__ WeightLayout weights,
              const T* __restrict__ lam, const T* __restrict__ result, const T* __restrict__ dual,
              const T* __restrict__ x, T* __restrict__ p, double* __restrict__ residual,
              unsigned char* __restrict__ joined) {
  const Chunk chunk(lines);
  const Line<const T> w = weights.At(lam, chunk.line);
  const Line<const T> y = lines.At(result, chunk.line), v = lines.At(dual, chunk.line);
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
  for (int64_t k = chunk.begin; k < chunk.end && k < edges; ++k) mine = mine.Then(edge(k));
  double sum = BeforeChunk<Direction::kForward>(mine, identity)(0.0);

  const Line<T> out = lines.At(p, chunk.line);
  const Line<unsigned char> equal = lines.At(joined, chunk.line);
  for (int64_t k = chunk.begin; k < chunk.end; ++k) {
    if (k < edges) sum = edge(k)(sum);
    out[k] = k < edges ? T(sum) : T(0);
    equal[k] = k < edges && y[k] == y[k + 1] && w[k] > T(0);
  }
  __syncthreads();  // before a thread reads the last dual of the chunk before
  const Line<double> r = lines.At(residual, chunk.line);
  for (int64_t k = chunk.begin; k < chunk.end; ++k) {
    const double before = x != nullptr ? double(lines.At(x, chunk.line)[k]) : r[k];
    r[k] = before + (double(out[k]) - (k > 0 ? double(out[k - 1]) : 0.0));
  }
}

// Votes counted since the last end of a piece, if there was one.
struct Balance {
  int votes, ended;

  __device__ Balance Then(const Balance& next) const {
    return next.ended ? next : Balance{votes + next.votes, ended};
  }
};

// The vote on edges to the samples `step` further, along lines of another axis whose own joined
// edges are `along`; where `vote` says no, all edges are kept. The balance of a piece is known at
// its last edge; backwards, that is handed to the whole piece.
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    Vote(const Lines lines, const __grid_constant__ WeightLayout votes,
         const bool* __restrict__ vote, const int64_t step, const unsigned char* __restrict__ edges,
         const unsigned char* __restrict__ along, unsigned char* __restrict__ kept) {
  const Chunk chunk(lines);
  const int64_t samples = lines.count() * lines.length;
  const Line<const unsigned char> line = lines.At(edges, chunk.line);
  const auto ends_piece = [&](int64_t k) {
    const int64_t at = &line[k] - edges;
    return !along[at] || at + step >= samples || !along[at + step];
  };
  Balance mine{0, 0};
  for (int64_t k = chunk.begin; k < chunk.end; ++k) {
    mine.votes += line[k] ? 1 : -1;
    if (ends_piece(k)) mine = {0, 1};
  }
  const Balance nothing{0, 0};
  int balance = BeforeChunk<Direction::kForward>(mine, nothing).votes;

  const Line<unsigned char> out = lines.At(kept, chunk.line);
  Latest<int> verdict{0, 0};
  for (int64_t k = chunk.begin; k < chunk.end; ++k) {
    balance += line[k] ? 1 : -1;
    out[k] = balance > 0;
    if (!ends_piece(k)) continue;
    if (!verdict.set) verdict = {balance > 0, 1};
    balance = 0;
  }
  const bool needed = *votes.At(vote, chunk.line).data;
  const Latest<int> none{0, 0};
  int hold = BeforeChunk<Direction::kBackward>(verdict, none).value;
  for (int64_t k = chunk.end - 1; k >= chunk.begin; --k) {
    if (ends_piece(k)) hold = out[k];
    out[k] = line[k] && (hold || !needed);
  }
}

struct Sum {
  double value;
  __device__ Sum Then(const Sum& next) const { return {value + next.value}; }
};

// Terms of the gap at z, for each line along an axis: |z - r|^2 if the residual is given, and the
// sum of w |Dz| - p Dz, none of which is negative.
template <typename T>
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    GapOfLines(const Lines lines, const __grid_constant__ WeightLayout weights,
               const T* __restrict__ lam, const T* __restrict__ z, const T* __restrict__ p,
               const double* __restrict__ residual, double* __restrict__ squares,
               double* __restrict__ jumps) {
  const Chunk chunk(lines);
  const Line<const T> w = weights.At(lam, chunk.line);
  const Line<const T> point = lines.At(z, chunk.line), dual = lines.At(p, chunk.line);
  Sum square{0.0}, excess{0.0};
  for (int64_t k = chunk.begin; k < chunk.end; ++k) {
    if (residual != nullptr) {
      const double off = double(point[k]) - lines.At(residual, chunk.line)[k];
      square.value += off * off;
    }
    if (k + 1 == lines.length) continue;
    const double jump = double(point[k + 1]) - double(point[k]);
    if (jump == 0.0) continue;  // an infinite weight on no jump costs nothing
    const double along = jump > 0.0 ? double(dual[k]) : -double(dual[k]);
    excess.value += fabs(jump) * (double(w[k]) - along);  // exactly 0 where p is w
  }
  const Sum zero{0.0};
  square = BeforeChunk<Direction::kForward>(square, zero).Then(square);
  excess = BeforeChunk<Direction::kForward>(excess, zero).Then(excess);
  if (chunk.end != lines.length || chunk.begin == chunk.end) return;
  squares[chunk.line] = square.value;
  jumps[chunk.line] = excess.value;
}

struct GapOfImage {
  double square, jumps;
};

__device__ float RoundUp(double value, float) { return __double2float_ru(value); }
__device__ double RoundUp(double value, double) { return value; }

// How much the sums of GapOfLines and GapOfImages may lose: terms that are at least 0 by less than
// half an epsilon in each addition.
template <typename T>
double Rounding(const std::vector<SolvedAxis<T>>& axes) {
  int64_t additions = 0;
  for (const SolvedAxis<T>& axis : axes) {
    const int64_t of_line = std::max(CeilDiv(axis.lines.length, kMaxChunks), kChunkSamples);
    const int64_t of_image = CeilDiv(axis.members, kImageThreads) + kImageThreads;
    additions = std::max(additions, of_line + kMaxChunks + of_image);
  }
  constexpr int64_t kOthers = 8;  // products, a root, the sum over axes
  return std::numeric_limits<double>::epsilon() / 2 * double(additions + kOthers);
}

// Adds up the terms of the lines of each image, to those of the axes before unless it is the first;
// after the last axis, the results, rounded up.
template <typename T>
__global__ void __launch_bounds__(kImageThreads)
    GapOfImages(const __grid_constant__ WeightLayout first,
                const __grid_constant__ WeightLayout member, const int64_t members,
                const bool is_first, const bool is_last, const double rounding,
                const double* __restrict__ squares, const double* __restrict__ jumps,
                GapOfImage* __restrict__ so_far, T* __restrict__ gap, T* __restrict__ bound) {
  __shared__ GapOfImage partial[kImageThreads];
  const int64_t image = blockIdx.x, start = first.At(squares, image).data - squares;
  GapOfImage mine{0.0, 0.0};
  for (int64_t j = threadIdx.x; j < members; j += kImageThreads) {
    const int64_t line = start + (member.At(squares, j).data - squares);
    mine.square += squares[line];
    mine.jumps += jumps[line];
  }
  partial[threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.x != 0) return;
  GapOfImage total = is_first ? GapOfImage{0.0, 0.0} : so_far[image];
  for (const GapOfImage& part : partial) {
    total.square += part.square;
    total.jumps += part.jumps;
  }
  so_far[image] = total;
  if (!is_last) return;
  // |z - x*| <= (c + sqrt(4 gap - c^2)) / 2 with c = |z - r|.
  const double distance = sqrt(total.square) + sqrt(total.square + 4.0 * total.jumps);
  gap[image] = RoundUp((1.0 + rounding) * (total.square / 2.0 + total.jumps), T());
  bound[image] = RoundUp((1.0 + rounding) * (distance / 2.0), T());
}

// Cuts work space into arrays.
class Space {
 public:
  explicit Space(void* data) : at_(reinterpret_cast<uintptr_t>(data)) {}

  // What alignment costs is less than what narrow labels leave of their share.
  template <typename V>
  V* Take(int64_t count) {
    const uintptr_t start = (at_ + sizeof(V) - 1) / sizeof(V) * sizeof(V);
    at_ = start + uintptr_t(count) * sizeof(V);
    return reinterpret_cast<V*>(start);
  }

 private:
  uintptr_t at_;
};

template <typename Label>
Components<Label> TakeComponents(Space* space, int64_t samples) {
  Components<Label> components{samples, nullptr, nullptr, nullptr, nullptr, nullptr};
  components.high = space->Take<unsigned long long>(samples);
  components.low = space->Take<unsigned long long>(samples);
  components.parent = space->Take<Label>(samples);
  components.exponent = space->Take<int>(samples);
  components.count = space->Take<unsigned>(samples);
  return components;
}

template <typename Axis>
std::vector<Lines> LinesOf(const std::vector<Axis>& axes) {
  std::vector<Lines> lines;
  for (const Axis& axis : axes) lines.push_back(axis.lines);
  return lines;
}

std::vector<unsigned char*> TakeEdges(Space* space, int64_t samples, size_t axes) {
  std::vector<unsigned char*> edges;
  for (size_t a = 0; a < axes; ++a) edges.push_back(space->Take<unsigned char>(samples));
  return edges;
}

template <typename Label, typename T>
Status ComponentMeanBy(cudaStream_t stream, const std::vector<TvAxis<T>>& axes, const T* y,
                       const T* v, T* mean, void* scratch) {
  const int64_t samples = axes[0].lines.count() * axes[0].lines.length;
  Space space(scratch);
  const auto components = TakeComponents<Label>(&space, samples);
  const auto joined = TakeEdges(&space, samples, axes.size());
  for (size_t a = 0; a < axes.size(); ++a) {
    const Lines& lines = axes[a].lines;
    const Status status = Launch("JoinEqual", JoinEqual<T>, ChunkGrid(lines, stream), lines,
                                 axes[a].weights, axes[a].lam, y, joined[a]);
    if (status.error != cudaSuccess) return status;
  }
  return MeanOfComponents<T>(stream, LinesOf(axes), {joined.begin(), joined.end()}, v, y, mean,
                             components);
}

template <typename Label, typename T>
Status CertifyBy(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images,
                 const bool* vote, const T* x, T* z, T* gap, T* bound, void* scratch) {
  const size_t count = axes.size();
  const int64_t samples = axes[0].lines.count() * axes[0].lines.length;
  Space space(scratch);
  GapOfImage* const so_far = space.Take<GapOfImage>(images);
  double* const residual = space.Take<double>(samples);
  const auto components = TakeComponents<Label>(&space, samples);
  std::vector<T*> duals;
  for (size_t a = 0; a < count; ++a) duals.push_back(space.Take<T>(samples));
  const auto joined = TakeEdges(&space, samples, count);
  const auto kept = TakeEdges(&space, samples, count);

  Status status;
  for (size_t a = 0; a < count && status.error == cudaSuccess; ++a) {
    const SolvedAxis<T>& axis = axes[a];
    status = Launch("ReadDuals", ReadDuals<T>, ChunkGrid(axis.lines, stream), axis.lines,
                    axis.weights, axis.lam, axis.result, axis.dual, a == 0 ? x : nullptr, duals[a],
                    residual, joined[a]);
  }
  for (size_t a = 0; count > 1 && a < count && status.error == cudaSuccess; ++a) {
    const size_t along = a + 1 < count ? count - 1 : 0;
    const Lines& lines = axes[along].lines;
    status = Launch("Vote", Vote, ChunkGrid(lines, stream), lines, axes[along].votes, vote,
                    axes[a].lines.inner, joined[a], joined[along], kept[a]);
  }
  if (status.error != cudaSuccess) return status;
  const auto& chosen = count > 1 ? kept : joined;
  const T* const no_level = nullptr;
  status = MeanOfComponents<T>(stream, LinesOf(axes), {chosen.begin(), chosen.end()},
                               static_cast<const double*>(residual), no_level, z, components);
  // The sums of the components are no longer needed.
  double* const squares = reinterpret_cast<double*>(components.high);
  double* const jumps = reinterpret_cast<double*>(components.low);
  for (size_t a = 0; a < count && status.error == cudaSuccess; ++a) {
    const SolvedAxis<T>& axis = axes[a];
    status =
        Launch("GapOfLines", GapOfLines<T>, ChunkGrid(axis.lines, stream), axis.lines, axis.weights,
               axis.lam, z, duals[a], a == 0 ? residual : nullptr, squares, jumps);
    if (status.error != cudaSuccess) return status;
    status = Launch("GapOfImages", GapOfImages<T>, Grid{images, kImageThreads, 0, stream},
                    axis.first, axis.member, axis.members, a == 0, a + 1 == count, Rounding(axes),
                    squares, jumps, so_far, gap, bound);
  }
  return status;
}

template <typename Axis>
bool Narrow(const std::vector<Axis>& axes) {
  return axes[0].lines.count() * axes[0].lines.length < kNarrowLabels;
}

}  // namespace

template <typename T>
Status ComponentMean(cudaStream_t stream, const std::vector<TvAxis<T>>& axes, const T* y,
                     const T* v, T* mean, void* scratch) {
  const auto run = Narrow(axes) ? ComponentMeanBy<int, T> : ComponentMeanBy<int64_t, T>;
  return run(stream, axes, y, v, mean, scratch);
}

template <typename T>
Status Certify(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images,
               const bool* vote, const T* x, T* z, T* gap, T* bound, void* scratch) {
  const auto run = Narrow(axes) ? CertifyBy<int, T> : CertifyBy<int64_t, T>;
  return run(stream, axes, images, vote, x, z, gap, bound, scratch);
}

template Status ComponentMean(cudaStream_t, const std::vector<TvAxis<float>>&, const float*,
                              const float*, float*, void*);
template Status ComponentMean(cudaStream_t, const std::vector<TvAxis<double>>&, const double*,
                              const double*, double*, void*);
template Status Certify(cudaStream_t, const std::vector<SolvedAxis<float>>&, int64_t, const bool*,
                        const float*, float*, float*, float*, void*);
template Status Certify(cudaStream_t, const std::vector<SolvedAxis<double>>&, int64_t, const bool*,
                        const double*, double*, double*, double*, void*);

}  // namespace jaxtv::cuda
