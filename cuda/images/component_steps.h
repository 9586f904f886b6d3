// SPDX-License-Identifier: MIT
// The steps by which threads find components and their means (components.h): runs become trees,
// trees are linked and flattened, deviations are added up at the roots. A barrier or the end of a
// launch parts one step from the next. Steps over samples take the number of the thread's sample.
#pragma once

#include <cuda/atomic>

#include "core/fixed_sum.h"
#include "core/run.h"
#include "cuda/images/components.h"
#include "cuda/images/line_parts.h"

namespace jaxtv::cuda {
namespace {  // as in scan.h

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

// Calls visit(k, the first sample of k's run) for samples of the line of a thread, where starts(k)
// says whether one begins at k. Lanes that have the parts of a line look at neighbours together.
template <typename Starts, typename Visit>
__device__ void ForRuns(const LinePart& part, int64_t length, const Starts& starts,
                        const Visit& visit) {
  int64_t first = 0;
  if (part.across_lanes) {
    const int before = int(threadIdx.x) % 32 - part.index;  // lanes of lines before this one
    const unsigned of_line = 0xffffffffu >> (32 - part.count);
    for (int64_t begin = 0; begin < length; begin += part.count) {
      const int64_t k = begin + part.index;
      const bool inside = k < part.length;
      const unsigned all = __ballot_sync(kAllLanes, inside && starts(k)) >> before & of_line;
      const unsigned up_to_here = all & ((2u << part.index) - 1);
      if (inside) visit(k, up_to_here != 0 ? begin + 31 - __clz(int(up_to_here)) : first);
      if (all != 0) first = begin + 31 - __clz(int(all));
    }
    return;
  }
  Latest<long long> last{0, 0};
  for (int64_t k = part.begin; k < part.end; ++k) {
    if (starts(k)) last = {k, 1};
  }
  const Latest<long long> none{0, 0};
  first = BeforePart<Direction::kForward>(part, last, none).value;
  for (int64_t k = part.begin; k < part.end; ++k) {
    if (starts(k)) first = k;
    visit(k, first);
  }
}

// Each sample becomes a child of the first one of its run along the lines. Those alone can become
// roots, at which sums are kept.
template <typename Label>
__device__ void LabelPart(const LinePart& part, const Lines& lines, const unsigned char* joined,
                          const Components<Label>& components) {
  const Line<const unsigned char> inside = lines.At(joined, part.line);
  const Line<Label> parent = lines.At(components.parent, part.line);
  ForRuns(
      part, lines.length, [&](int64_t k) { return k == 0 || !inside[k - 1]; },
      [&](int64_t k, int64_t first) {
        const int64_t at = &parent[k] - components.parent;
        parent[k] = Label(&parent[first] - components.parent);
        if (k != first) return;
        components.high[at] = components.low[at] = 0;
        components.exponent[at] = 0;
        components.count[at] = 0;
      });
}

// Why any interleaving of threads gives the same components. While trees are linked (LinkSample), a
// link changes by the AtomicMin of Unite or by the store of HalveToRoot, both to a smaller label,
// and a sample that is no root never becomes one again. The store may overwrite a link that an
// AtomicMin has just made. Then the thread of the AtomicMin got the old link back and unites its
// target with the one it wrote, and the store links to an ancestor of the old link: no two samples
// that were united come apart. When trees are flattened, each thread stores to the link of its own
// sample alone, the root; another thread that reads this link sees an ancestor, before or after,
// and roots do not change. Each step reads all that those before it have written.

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

__device__ inline int AtomicMin(int* address, int value) { return atomicMin(address, value); }
__device__ inline int64_t AtomicMin(int64_t* address, int64_t value) {
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

// Unites the ends of the sample's edge along an axis, if it joins. Of the edges between the same
// two runs, the first one suffices.
template <typename Label>
__device__ void LinkSample(int64_t at, int64_t step, const unsigned char* joined, int64_t run_step,
                           const unsigned char* in_run, const Components<Label>& components) {
  const int64_t before = at - run_step;
  if (!joined[at]) return;
  if (before >= 0 && joined[before] && in_run[before] && in_run[before + step]) return;
  Unite(components.parent, Label(at), Label(at + step));
}

// The root without a store, for FlattenSample, where each link has one thread that may store it.
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

// Links a sample to its root, where the largest exponent of the deviations is kept.
template <typename Value, typename Label>
__device__ void FlattenSample(int64_t at, const Value* values,
                              const Components<Label>& components) {
  const Label root = Root(components.parent, Label(at));
  Store(components.parent[at], root);
  const int exponent = ExponentOf(Deviation(values, at, root));
  int* const largest = &components.exponent[root];
  // A value that is no longer the largest costs one superfluous atomicMax.
  if (Load(*largest) < exponent) atomicMax(largest, exponent);
}

// Adds up the deviations at the roots. Neighbouring lanes with the same root add theirs up first,
// and the first of them updates the root. For all lanes of a warp, also those without a sample that
// is `inside`.
template <typename Value, typename Label>
__device__ void AddToRoot(int64_t at, bool inside, const Value* values,
                          const Components<Label>& components) {
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

// The mean of the values of a sample's component.
template <typename T, typename Value, typename Label>
__device__ T MeanAt(int64_t at, const Value* values, const Components<Label>& components) {
  const Label root = components.parent[at];
  const FixedTerm sum{int64_t(components.high[root]), int64_t(components.low[root])};
  const double off = FixedMean(sum, components.count[root], components.exponent[root]);
  return T(double(values[root]) + off);
}

}  // namespace
}  // namespace jaxtv::cuda
