// SPDX-License-Identifier: MIT
// The walk of core/tv1d.h in lock step, one line per vector lane. Lanes stand at different places
// of their lines, so each step gathers one sample per lane. A difference between lanes is a mask,
// never a branch (but see Run): the first step of a run is an ordinary step from levels and length
// 0, with the carried weight as height of both paths and with both touches forced; a jump only
// resets the lane to that state and is logged. A lane that has finished takes the next line, so the
// cost is the mean number of steps of a line, not the maximum over lanes.
#pragma once

#include "core/tv1d.h"
#include "cpu/simd/moves.h"

namespace jaxtv {
namespace JAXTV_ISA {

// How many vectors of lanes are walked in turn, to hide the latency of each.
constexpr int kInterleaved = 2;

// One vector of lanes on their walks; the names are those of core/tv1d.h.
template <typename T>
struct Walkers {
  IntVec<T> place, end;             // the next sample, the last one of the line
  IntVec<T> place_low, place_high;  // the places of the last touches
  IntVec<T> shift;                  // see Field::queue_shift
  IntVec<T> repeats;                // samples that were looked at again
  Vec<T> first, low, high, path_low, path_high, length;
  Vec<T> w;              // without edge weights: the weight of the line
  Vec<T> w_low, w_high;  // with edge weights: the weights at the last touches
  Vec<T> reach, growth;  // with edge weights: |u| at the start of the run, and what a sample adds
  Mask<T> fresh;         // the next sample starts a run
  uint32_t active;
};

// The memory that the walkers read and write.
template <typename T>
struct Field {
  const T* lines;  // samples, also at `parking`, where idle lanes stand
  const T* edges;  // weights by place, or null
  T cap, growth;   // the cap of edge weights, the growth of their reach; only kOpen
  Int<T> parking;
  int64_t length;  // of each line
  int64_t queued;  // the number of lines to walk

  // For each line the place of its first sample, and `queue_shift`: the log names the place
  // kLanes * place + shift, but place + shift if kOpen.
  const Int<T>* queue;
  const Int<T>* queue_shift;
  const T* queue_weight;   // its weight; with edge weights, unless kOpen, the growth of their reach
  const T* queue_carried;  // the height of its paths at the start; only kOpen

  Int<T>* log;  // the jumps: twice the place, plus 1 if up
};

// kOpen: lines go on beyond their ends, where walks just stop.
template <typename T, bool kEdges, bool kOpen>
class Walk {
  using V = Vec<T>;
  using I = IntVec<T>;
  using M = Mask<T>;
  static constexpr int kRow = kLanes<T>;

 public:
  explicit Walk(const Field<T>& field)
      : field_(field), budget_(Int<T>(RepeatBudget(field.length, field.length - 1))) {}

  // Walks all lines of the queue. Calls unfinished(place) for each line over budget, with its place
  // in the tiles. Returns the number of jumps logged.
  template <typename Unfinished>
  int64_t Run(const Unfinished& unfinished) {
    Walkers<T> walkers[kInterleaved] = {};
    for (auto& s : walkers) Refill(s, kAllLanes<T>);
    // Where in most steps of a vector no lane jumps, a branch around what jumps need saves time;
    // elsewhere it would be mispredicted. Both give the same.
    constexpr int kRounds = 64, kSteps = kRounds * kInterleaved * kWindow<T>;
    for (bool active = true, rare = false; active;) {
      const int64_t before = logged_;
      for (int round = 0; round < kRounds && active; ++round) {
        active = rare ? Round<true>(walkers, unfinished) : Round<false>(walkers, unfinished);
      }
      rare = logged_ - before < kSteps / 4;
    }
    return logged_;
  }

 private:
  // A window further on all lines. False where there is none left.
  template <bool kRare, typename Unfinished>
  JAXTV_ALWAYS_INLINE bool Round(Walkers<T> (&walkers)[kInterleaved],
                                 const Unfinished& unfinished) {
    bool active = false;
#pragma GCC unroll 4
    for (auto& s : walkers) {
      if (s.active == 0) continue;
      Advance<kRare>(s, unfinished);
      active = true;
    }
    return active;
  }

  // One window further, or less where there is a jump.
  template <bool kRare, typename Unfinished>
  JAXTV_ALWAYS_INLINE void Advance(Walkers<T>& s, const Unfinished& unfinished) {
    const Window<T> x = Gather(field_.lines, s.place);
    Window<T> w{};
    if constexpr (kEdges) w = Gather(field_.edges, s.place);
    M stay{};
    Step<kRare, false>(s, x.sample[0], w.sample[0], M{}, &stay);
    if constexpr (kWindow<T> == 2) {
      Step<kRare, true>(s, x.sample[1], w.sample[1], Or(s.fresh, stay), &stay);
    }
    const I allowed = budget_ - kRepeats * (s.end - s.place);
    const M late = And(s.fresh, Less(allowed, s.repeats));
    const uint32_t events = Bits<T>(Or(stay, late)) & s.active;
    if (__builtin_expect(events != 0, 0)) {
      if (const uint32_t over = Bits<T>(late) & s.active) {
        for (int l = 0; l < kRow; ++l) {
          if (over >> l & 1) {
            unfinished(s.place[l] * kRow + s.shift[l]);
          }
        }
      }
      Refill(s, events);
    }
  }

  // Takes one sample. `kRare`: jumps are. In a later step of the window, lanes that were stopped
  // are `idle`, and no other starts a run. `stay`: lanes that have finished their line.
  template <bool kRare, bool kLater>
  JAXTV_ALWAYS_INLINE void Step(Walkers<T>& s, V x, V edge, M idle, M* stay) {
    const V zero{};
    const M calm = kLater ? idle : s.fresh;
    const M at_end = Equal(s.place, s.end);
    const V weight = kOpen    ? (kEdges ? Min<T>(V{} + field_.cap, edge) : s.w)
                     : kEdges ? edge
                              : Select(at_end, zero, s.w);

    if (!kLater) s.first = Select(s.fresh, x, s.first);
    const V sample = x - s.first;
    const V a = s.path_low + (sample - s.low);
    const V b = s.path_high + (sample - s.high);
    s.length = kLater ? Select(idle, s.length, s.length + T(1)) : s.length + T(1);
    const V inverse = T(1) / s.length;
    const V growth = kOpen ? V{} + field_.growth : s.growth;
    const V w = kEdges ? Min<T>(s.reach + s.length * growth, weight) : weight;
    const M down = AndNot(Less(a, -w), calm);
    const M rise = AndNot(AndNot(Less(w, b), calm), down);
    const M jump = Or(down, rise);
    const M touch_low = kLater ? AndNot(AtMost(w, a), idle) : Or(AtMost(w, a), s.fresh);
    const M touch_high = kLater ? AndNot(AtMost(b, -w), idle) : Or(AtMost(b, -w), s.fresh);
    const V kept_low = kLater ? Select(idle, s.path_low, a) : a;
    const V kept_high = kLater ? Select(idle, s.path_high, b) : b;

    s.low = Select(touch_low, s.low + (a - w) * inverse, s.low);
    s.high = Select(touch_high, s.high + (b + w) * inverse, s.high);
    s.place_low = Select(touch_low, s.place, s.place_low);
    s.place_high = Select(touch_high, s.place, s.place_high);

    s.path_low = Select(touch_low, w, kept_low);
    s.path_high = Select(touch_high, -w, kept_high);
    const M finished = AndNot(kLater ? AndNot(at_end, idle) : at_end, jump);
    const M keep = kLater ? Or(finished, idle) : finished;
    *stay = kLater ? Or(*stay, finished) : finished;
    const I next = Select(keep, s.place, s.place + 1);
    if (kRare && Bits<T>(jump) == 0) {
      s.place = next;
      if (!kLater) s.fresh = M{};
    } else {
      // The level that jumps does not touch at this sample: its last touch is the end of the run.
      const I last = Select(down, s.place_low, s.place_high);
      const I place = (kOpen ? last : last * kRow) + s.shift;
      const I entry = 2 * place + Select(rise, I{} + 1, I{});
      logged_ += Compress(field_.log + logged_, jump, entry);
      V carried;
      if constexpr (kEdges) {
        carried = Select(down, s.w_low, -s.w_high);
        s.reach = Select(jump, Select(down, s.w_low, s.w_high), s.reach);
      } else {
        carried = Select(down, s.w, -s.w);
      }
      s.path_low = Select(jump, carried, s.path_low);
      s.path_high = Select(jump, carried, s.path_high);
      s.low = Select(jump, zero, s.low);
      s.high = Select(jump, zero, s.high);
      s.repeats = Select(jump, s.repeats + (s.place - last), s.repeats);
      s.length = Select(jump, zero, s.length);
      s.place = Select(jump, last + 1, next);
      s.fresh = kLater ? Or(s.fresh, jump) : jump;
    }
    if constexpr (kEdges) {
      s.w_low = Select(touch_low, weight, s.w_low);
      s.w_high = Select(touch_high, weight, s.w_high);
    }
  }

  // Starts the next lines in the lanes of `bits`; lanes for which there is none go idle.
  void Refill(Walkers<T>& s, uint32_t bits) {
    const M m = FromBits<T>(bits);
    const V zero{};
    const I park = I{} + field_.parking;
    s.place = Expand(s.place, m, field_.queue + next_);
    s.shift = Expand(s.shift, m, field_.queue_shift + next_);
    if (!kEdges) s.w = Expand(s.w, m, field_.queue_weight + next_);
    if (kEdges && !kOpen) s.growth = Expand(s.growth, m, field_.queue_weight + next_);
    const I end = s.place + Int<T>(field_.length - 1);
    s.end = Select(m, Select(Less(park, end), park, end), s.end);
    s.low = Select(m, zero, s.low);
    s.high = Select(m, zero, s.high);
    s.path_low =
        kOpen ? Expand(s.path_low, m, field_.queue_carried + next_) : Select(m, zero, s.path_low);
    s.path_high = Select(m, s.path_low, s.path_high);
    if (kEdges) s.reach = Select(m, Max<T>(s.path_low, -s.path_low), s.reach);
    s.length = Select(m, zero, s.length);
    s.repeats = Select(m, I{}, s.repeats);
    s.fresh = M(s.fresh | m);
    s.active = Bits<T>(Less(s.place, park));
    next_ += __builtin_popcount(bits);
    if (next_ > field_.queued) next_ = field_.queued;
  }

  const Field<T> field_;
  const Int<T> budget_;
  int64_t next_ = 0, logged_ = 0;
};

}  // namespace JAXTV_ISA
}  // namespace jaxtv
