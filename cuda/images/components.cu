// SPDX-License-Identifier: MIT
#include <cuda/atomic>

#include "core/fixed_sum.h"
#include "core/run.h"
#include "cuda/common/launch.h"
#include "cuda/images/components.h"
#include "cuda/images/line_parts.h"
#include "cuda/images/samples.h"

namespace jaxtv::cuda {
namespace {

template <typename V>
__device__ V Load(V& shared) {
  return ::cuda::atomic_ref<V, ::cuda::thread_scope_device>(shared).load(
      ::cuda::memory_order_relaxed);
}

template <typename V>
__device__ void Store(V& shared, V value) {
  ::cuda::atomic_ref<V, ::cuda::thread_scope_device>(shared).store(value,
                                                                   ::cuda::memory_order_relaxed);
}

// Each sample becomes a child of the first one of its run along the axis.
template <typename Label>
__global__ void __launch_bounds__(kPartThreads, kPartBlocks)
    LabelRuns(const Lines lines, const unsigned char* __restrict__ joined,
              const Components<Label> components) {
  const LinePart part(lines);
  const Line<const unsigned char> inside = lines.At(joined, part.line);
  const auto starts = [&](int64_t k) { return k == 0 || !inside[k - 1]; };
  Latest<long long> last{0, 0};
  for (int64_t k = part.begin; k < part.end; ++k) {
    if (starts(k)) last = {k, 1};
  }
  const Latest<long long> none{0, 0};
  long long first = BeforePart<Direction::kForward>(part, last, none).value;
  const Line<Label> parent = lines.At(components.parent, part.line);
  for (int64_t k = part.begin; k < part.end; ++k) {
    if (starts(k)) first = k;
    parent[k] = Label(&parent[first] - components.parent);
  }
  part.ForSpread([&](int64_t k) {
    const int64_t at = &parent[k] - components.parent;
    components.high[at] = components.low[at] = 0;
    components.exponent[at] = 0;
    components.count[at] = 0;
  });
}

// Why any interleaving of threads gives the same components. While trees are linked (LinkRuns), a
// link changes by the AtomicMin of Unite or by the store of HalveToRoot, both to a smaller label,
// and a sample that is no root never becomes one again. The store may overwrite a link that an
// AtomicMin has just made. Then the thread of the AtomicMin got the old link back and unites its
// target with the one it wrote, and the store links to an ancestor of the old link: no two samples
// that were united come apart. When trees are flattened, each thread stores to the link of its own
// sample alone, the root; another thread that reads this link sees an ancestor, before or after,
// and roots do not change. Launches run one after the other, so each reads all that those before it
// have written.

// The root of a sample's tree; halves the way to it, for all that follow.
template <typename Label>
__device__ Label HalveToRoot(Label* parent, Label at) {
  Label above = Load(parent[at]);
  while (above != at) {
    const Label next = Load(parent[above]);
    if (next != above) Store(parent[at], next);
    at = above;
    above = next;
  }
  return at;
}

__device__ int AtomicMin(int* address, int value) { return atomicMin(address, value); }
__device__ int64_t AtomicMin(int64_t* address, int64_t value) {
  return atomicMin(reinterpret_cast<long long*>(address), static_cast<long long>(value));
}

// Links the larger root to the smaller one. If another thread has linked it first, its target and
// ours are still to be united.
template <typename Label>
__device__ void Unite(Label* parent, Label a, Label b) {
  for (;;) {
    a = HalveToRoot(parent, a);
    b = HalveToRoot(parent, b);
    if (a == b) return;
    const Label low = a < b ? a : b, high = a < b ? b : a;
    const Label before = AtomicMin(&parent[high], low);
    if (before == high) return;
    a = before;
    b = low;
  }
}

// Unites the ends of the edges along an axis. Of the edges between the same two runs, the first one
// suffices.
template <typename Label>
__global__ void __launch_bounds__(kSampleThreads)
    LinkRuns(const int64_t step, const unsigned char* __restrict__ joined, const int64_t run_step,
             const unsigned char* __restrict__ in_run, const Components<Label> components) {
  const int64_t at = SampleOfThread(), before = at - run_step;
  if (at >= components.samples || !joined[at]) return;
  if (before >= 0 && joined[before] && in_run[before] && in_run[before + step]) return;
  Unite(components.parent, Label(at), Label(at + step));
}

// The root without a store, for Flatten, where each link has one thread that may store it.
template <typename Label>
__device__ Label Root(Label* parent, Label at) {
  for (;;) {
    const Label above = Load(parent[at]);
    if (above == at) return at;
    at = above;
  }
}

// The terms of the sums: deviations from the value at the root, as in core/run.h, so that the mean
// of a constant is that constant.
template <typename Value, typename Label>
__device__ double Deviation(const Value* values, int64_t at, Label root) {
  return double(values[at]) - double(values[root]);
}

// Links each sample to its root, where the largest exponent of the deviations is kept.
template <typename Value, typename Label>
__global__ void __launch_bounds__(kSampleThreads)
    Flatten(const Value* __restrict__ values, const Components<Label> components) {
  const int64_t at = SampleOfThread();
  if (at >= components.samples) return;
  const Label root = Root(components.parent, Label(at));
  Store(components.parent[at], root);
  const int exponent = ExponentOf(Deviation(values, at, root));
  int* const largest = &components.exponent[root];
  // A value that is no longer the largest costs one superfluous atomicMax.
  if (Load(*largest) < exponent) atomicMax(largest, exponent);
}

// Adds up the deviations at the roots. Neighbouring lanes with the same root add theirs up first,
// and the first of them updates the root.
template <typename Value, typename Label>
__global__ void __launch_bounds__(kSampleThreads)
    AddToRoots(const Value* __restrict__ values, const Components<Label> components) {
  const int64_t at = SampleOfThread();
  const bool inside = at < components.samples;
  const Label root = inside ? components.parent[at] : Label(-1);
  FixedTerm term{0, 0};
  if (inside) term = ToFixed(Deviation(values, at, root), components.exponent[root]);

  const int lane = threadIdx.x % 32;
  const Label left = __shfl_up_sync(kAllLanes, root, 1);
  const unsigned heads = __ballot_sync(kAllLanes, lane == 0 || left != root);
  const unsigned later = lane == 31 ? 0 : heads >> (lane + 1) << (lane + 1);
  const int end = later ? __ffs(int(later)) - 1 : 32;
  for (int distance = 1; distance < 32; distance *= 2) {
    const long long high = __shfl_down_sync(kAllLanes, term.high, distance);
    const long long low = __shfl_down_sync(kAllLanes, term.low, distance);
    if (lane + distance >= end) continue;
    term.high += high;
    term.low += low;
  }
  if (!inside || !(heads >> lane & 1)) return;
  atomicAdd(&components.high[root], (unsigned long long)(term.high));
  atomicAdd(&components.low[root], (unsigned long long)(term.low));
  atomicAdd(&components.count[root], unsigned(end - lane));
}

template <typename T, typename Value, typename Label>
__global__ void __launch_bounds__(kSampleThreads)
    WriteMeans(const Value* __restrict__ values, const T* __restrict__ level, T* __restrict__ mean,
               const Components<Label> components) {
  const int64_t at = SampleOfThread();
  if (at >= components.samples) return;
  const Label root = components.parent[at];
  const FixedTerm sum{int64_t(components.high[root]), int64_t(components.low[root])};
  const double off = FixedMean(sum, components.count[root], components.exponent[root]);
  const T value = T(double(values[root]) + off);
  // A NaN is equal to no neighbour: a component of one sample.
  mean[at] = level == nullptr || level[at] == level[at] ? value : NoDerivative(value);
}

}  // namespace

template <typename T, typename Value, typename Label>
Status MeanOfComponents(cudaStream_t stream, const std::vector<Lines>& axes,
                        const std::vector<const unsigned char*>& joined, const Value* values,
                        const T* level, T* mean, const Components<Label>& components) {
  const Lines& runs = axes.back();
  const Grid grid = SampleGrid(components.samples, stream);
  LaunchSequence launches;
  launches.Add("LabelRuns", LabelRuns<Label>, LinePartGrid(runs, stream), runs, joined.back(),
               components);
  for (size_t a = 0; a + 1 < axes.size(); ++a) {
    launches.Add("LinkRuns", LinkRuns<Label>, grid, axes[a].inner, joined[a], runs.inner,
                 joined.back(), components);
  }
  launches.Add("Flatten", Flatten<Value, Label>, grid, values, components);
  launches.Add("AddToRoots", AddToRoots<Value, Label>, grid, values, components);
  launches.Add("WriteMeans", WriteMeans<T, Value, Label>, grid, values, level, mean, components);
  return launches.status();
}

#define JAXTV_INSTANTIATE(T, Value, Label)                                                 \
  template Status MeanOfComponents(cudaStream_t, const std::vector<Lines>&,                \
                                   const std::vector<const unsigned char*>&, const Value*, \
                                   const T*, T*, const Components<Label>&);
JAXTV_INSTANTIATE(float, float, int)
JAXTV_INSTANTIATE(float, double, int)
JAXTV_INSTANTIATE(double, double, int)
JAXTV_INSTANTIATE(float, float, int64_t)
JAXTV_INSTANTIATE(float, double, int64_t)
JAXTV_INSTANTIATE(double, double, int64_t)
#undef JAXTV_INSTANTIATE

}  // namespace jaxtv::cuda
