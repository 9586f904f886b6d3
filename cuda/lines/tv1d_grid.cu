// SPDX-License-Identifier: MIT
// All blocks on each of a few very long lines: threshold divide and conquer (tv1d_divide.h) in
// passes over chunks (chunks.h).
//
// How many rounds a line takes depends on its data, which the host does not see, so a fixed number
// is launched: once a round has found no new jump, the kernels of later ones return at once. They
// suffice for all but contrived data. A line that has new jumps even in the last round is finished
// by one block.
#include "cuda/common/launch.h"
#include "cuda/lines/chunks.h"
#include "cuda/lines/tv1d.h"
#include "cuda/lines/tv1d_divide.h"
#include "cuda/lines/work_space.h"

namespace jaxtv::cuda {
namespace {

template <typename T>
struct ChunkState {
  RunsOfChunk<T> runs;  // the segments, with their levels
  ClampedSum map;       // of the chunk; from a scan on, of all before it
  Summary<T> summary;   // of the chunk
  int decided;          // the first sample with a side, see DividedLine::DecideSides
  int side_behind;      // the side of the sample after the chunk
  int last_mark;        // the mark of the last sample, when the sides were decided
};

template <typename T>
struct LineState {
  Summary<T> summary;
  int solving;  // the last round found new jumps
  int found;    // this round has
};

// A line has at least two chunks, and all but the last are full.
static_assert(2 * sizeof(ChunkState<double>) + sizeof(LineState<double>) <=
                  kChunkSampleBytes * kLeastTiles * kChunkThreads,
              "the states fit in their part of the work space");

// The parameters of all kernels.
template <typename T>
struct GridProx {
  Chunks chunks;
  WeightLayout weights;
  const T* x;
  const T* lam;
  T* y;
  ProxScratch scratch;

  __device__ ChunkState<T>* States(int64_t line) const {
    return reinterpret_cast<ChunkState<T>*>(scratch.Chunks()) + line * chunks.per_line;
  }
  __device__ ChunkState<T>& Own() const { return States(chunks.OwnLine())[chunks.OwnIndex()]; }
  __device__ LineState<T>& StateOf(int64_t line) const {
    return reinterpret_cast<LineState<T>*>(States(chunks.lines.count()))[line];
  }

  template <int kThreads>
  __device__ DividedLine<T, kThreads> At(int64_t line) const {
    const int64_t n = chunks.lines.length;
    const Summary<T>& summary = StateOf(line).summary;
    const T unit = summary.Unit();
    return {{chunks.lines.At(x, line), unit},
            summary.Weights(weights.At(lam, line), n),
            unit,
            n,
            scratch.Marks(line),
            scratch.Levels(line)};
  }
};

// Before the first round: summaries, and one segment.
template <typename T>
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    GridSummarize(const __grid_constant__ GridProx<T> p) {
  const int64_t line = p.chunks.OwnLine(), n = p.chunks.lines.length;
  const Stretch own = p.chunks.Own();
  const Summary<T> summary =
      Summarize<T, kChunkThreads>(p.chunks.lines.At(p.x, line), p.weights.At(p.lam, line), n, own);
  ClearMarks<kChunkThreads>(p.scratch.Marks(line), own);
  if (threadIdx.x != 0) return;
  ChunkState<T>& state = p.Own();
  state.summary = summary;
  state.side_behind = Mark::Decode(kNoMark).side;
  state.last_mark = kNoMark;
}

template <typename T>
__global__ void __launch_bounds__(kJoinThreads, kJoinBlocks)
    GridJoinSummaries(const __grid_constant__ GridProx<T> p) {
  const int64_t line = blockIdx.x;
  const ChunkState<T>* const states = p.States(line);
  Summary<T> mine = states[0].summary, all = states[0].summary;
  for (int c = threadIdx.x; c < p.chunks.per_line; c += kJoinThreads) {
    mine = mine.Then(states[c].summary);
  }
  ExclusiveScan<kJoinThreads, Direction::kForward>(mine, &all);
  if (threadIdx.x == 0) p.StateOf(line) = {all, all.NeedsSolving(), 0};
}

template <typename T>
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    GridFindJumps(const __grid_constant__ GridProx<T> p) {
  const int64_t line = p.chunks.OwnLine();
  if (!p.StateOf(line).solving) return;
  ChunkState<T>& own = p.Own();
  const int before = p.chunks.OwnIndex() > 0 ? (&own)[-1].last_mark : kNoMark;
  if (threadIdx.x == 0) {
    own.runs.open.start = -1;
    own.runs.ends = 0;
  }
  Latest<int> side{own.side_behind, 1};
  RunSumSince<T> sum{{}, -1};
  const bool found = p.template At<kChunkThreads>(line).FindJumps(
      p.chunks.Own(), Mark::Decode(before), &side, &sum, &own.runs.open);
  const bool any = __syncthreads_or(found);
  if (threadIdx.x != 0) return;
  own.runs.sum = sum;
  if (any) atomicOr(&p.StateOf(line).found, 1);
}

// `first` is before the first round: no jump was found, but no level was compared either.
template <typename T>
__global__ void __launch_bounds__(kJoinThreads, kJoinBlocks)
    GridJoinSegments(const __grid_constant__ GridProx<T> p, const bool first) {
  const int64_t line = blockIdx.x;
  LineState<T>& state = p.StateOf(line);
  if (!state.solving) return;
  ChunkState<T>* const states = p.States(line);
  double* const levels = p.scratch.Levels(line);
  JoinRuns<T>(
      p.chunks.per_line, [&](int c) -> RunsOfChunk<T>& { return states[c].runs; },
      [&](int64_t start, double level) { levels[start] = level; });
  if (threadIdx.x != 0) return;
  state.solving = first || state.found;
  state.found = 0;
}

// Without `kWrite`, only the map of the sum over the chunk.
template <typename T, bool kWrite>
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    GridDecideSides(const __grid_constant__ GridProx<T> p) {
  const int64_t line = p.chunks.OwnLine();
  if (!p.StateOf(line).solving) return;
  ChunkState<T>& own = p.Own();
  const Stretch stretch = p.chunks.Own();
  Latest<double> level{own.runs.incoming, 1};
  ClampedSum sum = kWrite ? own.map : ClampedSum::Identity();
  const DividedLine<T, kChunkThreads> divided = p.template At<kChunkThreads>(line);
  const int decided = divided.template DecideSides<kWrite>(stretch, &level, &sum);
  if (!kWrite) {
    if (threadIdx.x == 0) own.map = sum;
    return;
  }
  Least least{Least::kNone};
  ExclusiveScan<kChunkThreads, Direction::kForward>(Least{decided}, &least);
  if (threadIdx.x != 0) return;
  own.decided = least.value;
  own.last_mark = divided.marks[stretch.end - 1];
}

// For each chunk, the map of all samples before it.
template <typename T>
__device__ void ScanMaps(ChunkState<T>* states, int chunks) {
  ClampedSum carry = ClampedSum::Identity();
  for (int tile = 0; tile < chunks; tile += kJoinThreads) {
    const int c = tile + threadIdx.x;
    const ClampedSum mine = c < chunks ? states[c].map : ClampedSum::Identity();
    const ClampedSum before = ExclusiveScan<kJoinThreads, Direction::kForward>(mine, &carry);
    if (c < chunks) states[c].map = before;
  }
}

template <typename T>
__global__ void __launch_bounds__(kJoinThreads, kJoinBlocks)
    GridJoinMaps(const __grid_constant__ GridProx<T> p) {
  if (p.StateOf(blockIdx.x).solving) ScanMaps(p.States(blockIdx.x), p.chunks.per_line);
}

template <typename T>
__global__ void __launch_bounds__(kJoinThreads, kJoinBlocks)
    GridJoinSides(const __grid_constant__ GridProx<T> p) {
  if (!p.StateOf(blockIdx.x).solving) return;
  ChunkState<T>* const states = p.States(blockIdx.x);
  const int chunks = p.chunks.per_line, tiles = (chunks + kJoinThreads - 1) / kJoinThreads;
  Latest<int> carry{0, 0};
  for (int tile = tiles - 1; tile >= 0; --tile) {
    const int c = tile * kJoinThreads + threadIdx.x;
    const int decided = c < chunks ? states[c].decided : Least::kNone;
    const Latest<int> mine{decided % 2 != 0 ? 1 : -1, decided != Least::kNone};
    const Latest<int> behind = ExclusiveScan<kJoinThreads, Direction::kBackward>(mine, &carry);
    if (c < chunks) states[c].side_behind = behind.value;
  }
}

// One block for each line that is not solved yet.
template <typename T>
__global__ void __launch_bounds__(kJoinThreads, kJoinBlocks)
    GridFinish(const __grid_constant__ GridProx<T> p) {
  if (p.StateOf(blockIdx.x).solving) p.template At<kJoinThreads>(blockIdx.x).Refine();
}

template <typename T, bool kWrite>
__global__ void __launch_bounds__(kChunkThreads, kChunkBlocks)
    GridWrite(const __grid_constant__ GridProx<T> p) {
  const int64_t line = p.chunks.OwnLine();
  const Summary<T>& summary = p.StateOf(line).summary;
  const Line<T> y = p.chunks.lines.At(p.y, line);
  if (!summary.NeedsSolving()) {
    if (kWrite) {
      WriteUnsolved<T, kChunkThreads>(summary, p.chunks.lines.At(p.x, line), y, p.chunks.Own());
    }
    return;
  }
  ChunkState<T>& own = p.Own();
  ClampedSum carry = kWrite ? own.map : ClampedSum::Identity();
  p.template At<kChunkThreads>(line).template Write<kWrite>(p.chunks.Own(), &carry, y);
  if (!kWrite && threadIdx.x == 0) own.map = carry;
}

template <typename T>
__global__ void __launch_bounds__(kJoinThreads, kJoinBlocks)
    GridJoinWrites(const __grid_constant__ GridProx<T> p) {
  if (p.StateOf(blockIdx.x).summary.NeedsSolving()) {
    ScanMaps(p.States(blockIdx.x), p.chunks.per_line);
  }
}

// A round halves the range of the solution on a segment, or leaves it a small part of its length:
// on smooth data there are about log2(n) rounds, on noise a third of that.
int Rounds(int64_t length) {
  int rounds = 6;
  for (; length > 1; length /= 2) ++rounds;
  return rounds;
}

}  // namespace

template <typename T>
Status ProxTv1dByGrid(cudaStream_t stream, const Lines& lines, const WeightLayout& weights,
                      const T* x, const T* lam, T* y, void* scratch) {
  const Chunks chunks(lines);
  const GridProx<T> p{chunks, weights, x, lam, y, ProxScratch(scratch, lines)};
  LaunchSequence launches;
  const Grid by_chunk{chunks.count(), kChunkThreads, 0, stream};
  const Grid by_line{lines.count(), kJoinThreads, 0, stream};
  const auto find_jumps = [&](bool first) {
    launches.Add("GridFindJumps", GridFindJumps<T>, by_chunk, p);
    launches.Add("GridJoinSegments", GridJoinSegments<T>, by_line, p, first);
  };

  launches.Add("GridSummarize", GridSummarize<T>, by_chunk, p);
  launches.Add("GridJoinSummaries", GridJoinSummaries<T>, by_line, p);
  find_jumps(true);
  for (int round = 0; round < Rounds(lines.length); ++round) {
    launches.Add("GridDecideSides", GridDecideSides<T, false>, by_chunk, p);
    launches.Add("GridJoinMaps", GridJoinMaps<T>, by_line, p);
    launches.Add("GridDecideSides", GridDecideSides<T, true>, by_chunk, p);
    launches.Add("GridJoinSides", GridJoinSides<T>, by_line, p);
    find_jumps(false);
  }
  launches.Add("GridFinish", GridFinish<T>, by_line, p);
  launches.Add("GridWrite", GridWrite<T, false>, by_chunk, p);
  launches.Add("GridJoinWrites", GridJoinWrites<T>, by_line, p);
  launches.Add("GridWrite", GridWrite<T, true>, by_chunk, p);
  return launches.status();
}

template Status ProxTv1dByGrid(cudaStream_t, const Lines&, const WeightLayout&, const float*,
                               const float*, float*, void*);
template Status ProxTv1dByGrid(cudaStream_t, const Lines&, const WeightLayout&, const double*,
                               const double*, double*, void*);

}  // namespace jaxtv::cuda
