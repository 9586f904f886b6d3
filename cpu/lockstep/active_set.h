// SPDX-License-Identifier: MIT
// The TV prox of lines in lock step by revising a guess at where they jump.
//
// Given the jumps and their signs, the runs have closed-form values (core/run.h), and the dual u
// follows from the ends of its run: it is w at a jump up, -w at a jump down, and within a run
//
//   u_{k-1} = u_k - (y_k - x_k).
//
// The jumps are right if y steps up and down as they say, and |u| <= w everywhere. Otherwise those
// that are wrong are removed, and each run gets one where u is furthest above w and one where it is
// furthest below -w. This is the primal-dual active set method, which is Newton's method on the
// dual (M. Hintermueller, K. Ito and K. Kunisch, "The Primal-Dual Active Set Strategy as a
// Semismooth Newton Method", SIAM Journal on Optimization 13, 2002), but for the two jumps that a
// run may gain. All runs are revised at once: two to four rounds lead from a line to one near by,
// and about log2(n) from no guess. There is no proof that it ends, so rounds are counted.
//
// A round reads all samples in their order, without gathers or branches. The lanes' bits are
// computed with in general registers, as those for masks are few and slow.
#pragma once

#include <limits>

#include "cpu/lockstep/kernels.h"
#include "cpu/simd/moves.h"
#include "cpu/simd/wide.h"

namespace jaxtv {
namespace JAXTV_ISA {

// A bit for each lane that says up, or that it is an upper bound, and one for down, or a lower one.
template <typename T>
inline uint32_t PairsOf(Mask<T> up, Mask<T> down) {
  return Bits<T>(up) | Bits<T>(down) << 16;
}
template <typename T>
inline Mask<T> UpOf(uint32_t pairs) {
  return FromBits<T>(pairs & 0xffff);
}
template <typename T>
inline Mask<T> DownOf(uint32_t pairs) {
  return FromBits<T>(pairs >> 16);
}

// The lines of a tile, and what is known of them at each sample.
template <typename T>
struct ActiveSet {
  int64_t length;
  const T* x;
  const T* weights;   // a row for each edge, or one for all
  uint32_t* jumps;    // up or down behind the sample
  uint32_t* steps;    // y rises or falls behind the last sample of a run
  uint32_t* records;  // u exceeds w or -w, by more than anywhere behind in its run
  uint32_t* changes;  // of the jumps in the last round
  T* origins;         // the first sample of the run
  T* shifts;          // at the last sample of a run, its value less that
};

// Takes the jumps of the lines `near`, in the lanes of `active`.
template <typename T>
void TakeJumps(const T* near, uint32_t active, const ActiveSet<T>& set) {
  const Mask<T> m = FromBits<T>(active);
  Vec<T> here = Load<Vec<T>>(near);
  for (int64_t k = 0; k + 1 < set.length; ++k) {
    const Vec<T> next = Load<Vec<T>>(near + (k + 1) * kLanes<T>);
    set.jumps[k] = PairsOf<T>(And(m, Less(here, next)), And(m, Less(next, here)));
    set.changes[k] = 0;
    here = next;
  }
  set.jumps[set.length - 1] = set.changes[set.length - 1] = 0;
}

// The values of the runs between the jumps.
template <typename T, bool kEdges>
void SolveRuns(const ActiveSet<T>& set) {
  constexpr int kRow = kLanes<T>;
  using V = Vec<T>;
  const ActiveSet<T> s = set;
  const V zero{};
  V w = Load<V>(s.weights), origin{}, count{}, pull{};
  Sum<T> sum;
  Mask<T> start = FromBits<T>(kAllLanes<T>);
  for (int64_t k = 0; k < s.length; ++k) {
    const V x = Load<V>(s.x + k * kRow);
    if (kEdges) w = Load<V>(s.weights + k * kRow);
    const Mask<T> up = UpOf<T>(s.jumps[k]), down = DownOf<T>(s.jumps[k]);
    origin = Select(start, x, origin);
    sum.Add(start, x - origin);
    count = Select(start, zero, count) + T(1);
    const V next_pull = Select(up, w, Select(down, -w, zero));
    Store(s.origins + k * kRow, origin);
    Store(s.shifts + k * kRow, (Narrow(sum.Total()) + (next_pull - pull)) / count);
    start = Or(up, down);
    pull = Select(start, next_pull, pull);
  }
}

// Compares the jumps with the steps of y, and u with its bounds. Runs from the ends of runs to
// their starts, where the last record is the greatest excess.
template <typename T, bool kEdges>
void CheckRuns(const ActiveSet<T>& set) {
  constexpr int kRow = kLanes<T>;
  // Rounding adds up along a run, and a jump that answers to no more than it would be removed
  // again.
  constexpr T kBound = T(1) + T(4) * std::numeric_limits<T>::epsilon();
  using V = Vec<T>;
  const ActiveSet<T> s = set;
  const V zero{};
  V w = Load<V>(s.weights), origin{}, shift{}, u{}, most{}, least{};
  Mask<T> up{}, down{}, end = FromBits<T>(kAllLanes<T>);
  for (int64_t k = s.length - 1;; --k) {
    const V next_origin = origin, next_shift = shift;
    const V own_origin = Load<V>(s.origins + k * kRow), own_shift = Load<V>(s.shifts + k * kRow);
    const V step = (next_origin - own_origin) + (next_shift - own_shift);
    s.steps[k] = PairsOf<T>(Less(zero, step), Less(step, zero));
    if (kEdges) w = Load<V>(s.weights + k * kRow);
    const V bound = kBound * w;
    origin = Select(end, own_origin, origin);
    shift = Select(end, own_shift, shift);
    u = Select(end, Select(up, w, Select(down, -w, zero)), u);
    const V above = kEdges ? u - bound : u, below = kEdges ? u + bound : u;
    most = Select(end, kEdges ? zero : bound, most);
    least = Select(end, kEdges ? zero : -bound, least);
    s.records[k] = PairsOf<T>(Less(most, above), Less(below, least));
    most = Max<T>(most, above);
    least = Min<T>(least, below);
    if (k == 0) return;
    u -= shift - (Load<V>(s.x + k * kRow) - origin);
    up = UpOf<T>(s.jumps[k - 1]);
    down = DownOf<T>(s.jumps[k - 1]);
    end = Or(up, down);
  }
}

// In the lanes of `active`, keeps the jumps that y steps like, and adds the first record of each
// run. Returns the lanes in which this changed jumps.
//
// A lane in which it only adds what it removed in the round before, or the other way round, would
// go to and fro, so it is active no more. By one jump: with it y steps the wrong way, without it u
// exceeds its bound. But for rounding each is true only if the other is not, so the runs tie, and
// it is left out. By several, each may be wrong because of the others: the lane is `stuck`.
template <typename T>
uint32_t ReviseJumps(const ActiveSet<T>& set, uint32_t* active, uint32_t* stuck) {
  const uint32_t live = *active | *active << 16;
  uint32_t open = live, changed = 0, twice = 0, new_changes = 0;
  for (int64_t k = 0; k < set.length; ++k) {
    const uint32_t jumps = set.jumps[k], record = set.records[k];
    const uint32_t kept = jumps & (set.steps[k] | ~live), added = record & open;
    const uint32_t change = (jumps ^ kept) | added, lanes = change | change >> 16;
    open = (open & ~record) | ((jumps | jumps << 16 | jumps >> 16) & live);
    twice |= changed & lanes;
    changed |= lanes;
    new_changes |= change ^ set.changes[k];
    set.changes[k] = change;
    set.jumps[k] = kept | added;
  }
  changed &= 0xffff;
  const uint32_t cycling = changed & ~(new_changes | new_changes >> 16), ties = cycling & ~twice;
  if (ties != 0) {
    const uint32_t without = ~(ties | ties << 16);
    for (int64_t k = 0; k < set.length; ++k) set.jumps[k] &= ~set.changes[k] | without;
  }
  *active &= ~cycling;
  *stuck |= cycling & twice;
  return changed;
}

// Writes the values of the runs to all of their samples.
template <typename T>
void WriteRuns(const ActiveSet<T>& set, T* y) {
  constexpr int kRow = kLanes<T>;
  using V = Vec<T>;
  const ActiveSet<T> s = set;
  V value{};
  for (int64_t k = s.length - 1; k >= 0; --k) {
    const V own = Load<V>(s.origins + k * kRow) + Load<V>(s.shifts + k * kRow);
    if (k == s.length - 1) value = own;
    // A jump that rounding inverted is no jump.
    const V lower = Min<T>(own, value), upper = Max<T>(own, value);
    value = Select(UpOf<T>(s.jumps[k]), lower, Select(DownOf<T>(s.jumps[k]), upper, value));
    Store(y + k * kRow, value);
  }
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
