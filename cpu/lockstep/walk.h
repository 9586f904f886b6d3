// SPDX-License-Identifier: MIT
// The walk of core/tv1d.h in lock step, one line per vector lane. Lanes stand at different places
// of their lines, so each step gathers samples for each lane. A difference between lanes is a mask,
// never a branch (but see Jumps). A jump is logged, and its lane goes back to the first sample of
// the next run. A lane that has finished takes the next line, so the cost is the mean number of
// steps of a line, not the maximum over lanes.
#pragma once

#include "core/tv1d.h"
#include "cpu/lockstep/kernels.h"
#include "cpu/simd/moves.h"

namespace jaxtv {
namespace JAXTV_ISA {

// How many vectors of lanes are walked in turn, to hide the latency of each.
constexpr int kInterleaved = 2;

// One vector of lanes on their walks; the names are those of core/tv1d.h. A lane is fresh if its
// next sample starts a run. Then its paths have the height that is carried over the jump before
// and, without edge weights, its levels are those that the sample will leave as they are.
template <typename T>
struct Walkers {
  IntVec<T> place, end;             // the next sample, the last one of the line
  IntVec<T> place_low, place_high;  // the places of the last touches
  IntVec<T> shift;                  // see Field::queue_shift
  IntVec<T> spare;                  // what of the budget would be left at place 0
  Vec<T> first, low, high, path_low, path_high, length;
  Vec<T> carried;        // -u before the run
  Vec<T> w;              // without edge weights: the weight of the line
  Vec<T> w_low, w_high;  // with edge weights: the weights at the last touches
  Vec<T> growth;         // with edge weights: what a sample adds to their reach
  Mask<T> fresh, parked;
  uint32_t active;  // the lanes that are not parked
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

  Int<T>* log;  // the jumps: four times the place, plus the mark
};

// Marks the jumps of a log.
template <typename T>
void MarkLogged(const Int<T>* log, int64_t jumps, uint8_t* marks) {
#pragma GCC unroll 4
  for (int64_t j = 0; j < jumps; ++j) marks[log[j] >> 2] = uint8_t(log[j] & 3);
}

// kOpen: lines go on beyond their ends, where walks just stop.
template <typename T, bool kEdges, bool kOpen>
class Walk {
  using V = Vec<T>;
  using I = IntVec<T>;
  using M = Mask<T>;
  static constexpr int kRow = kLanes<T>;

 public:
  explicit Walk(const Field<T>& field)
      : field_(field),
        budget_(Int<T>(kOpen ? PieceBudget(field.length, 0) : RepeatBudget(field.length, 0))) {}

  // Walks all lines of the queue. Calls unfinished(place) for each line over budget, with its place
  // in the tiles. Returns the number of jumps logged.
  template <typename Unfinished>
  int64_t Run(const Unfinished& unfinished) {
    Walkers<T> walkers[kInterleaved] = {};
    for (auto& s : walkers) Refill(s, kAllLanes<T>);
    constexpr int kRounds = 8, kSteps = kRounds * kInterleaved * kWindow;
    Jumps jumps = Jumps::kSome;
    for (bool active = true; active;) {
      const int64_t before = logged_;
      for (int round = 0; round < kRounds && active; ++round) {
        active = jumps == Jumps::kFew    ? Round<Jumps::kFew>(walkers, unfinished)
                 : jumps == Jumps::kSome ? Round<Jumps::kSome>(walkers, unfinished)
                                         : Round<Jumps::kMany>(walkers, unfinished);
      }
      const int64_t logged = logged_ - before;
      jumps = logged < kSteps / 4          ? Jumps::kFew
              : logged < kSteps * kRow / 4 ? Jumps::kSome
                                           : Jumps::kMany;
    }
    return logged_;
  }

  // How many samples were looked at again; 0 if not kOpen.
  int64_t repeats() const { return repeats_; }

 private:
  // How many jumps there are decides how a step is taken; all ways give the same. Where in most
  // steps of a vector no lane jumps, a branch around what jumps need saves time; elsewhere it would
  // be mispredicted, and runs are ended once for each window. Where most runs are of one sample,
  // the next one mostly starts at the sample that ended it, and its lane takes that at once.
  enum class Jumps { kFew, kSome, kMany };

  // Whether a lane may take the sample that ended a run as the first of the next one.
  template <Jumps kJumps>
  static constexpr bool kGoesOn = kJumps == Jumps::kMany && !kEdges;
  // Whether a run is ended at the step that finds its end, or with the window.
  template <Jumps kJumps>
  static constexpr bool kEndsAtStep = kJumps == Jumps::kFew || kGoesOn<kJumps>;

  // A window further on all lines. False where there is none left.
  template <Jumps kJumps, typename Unfinished>
  JAXTV_ALWAYS_INLINE bool Round(Walkers<T> (&walkers)[kInterleaved],
                                 const Unfinished& unfinished) {
    bool active = false;
#pragma GCC unroll 4
    for (auto& s : walkers) {
      if (s.active == 0) continue;
      Advance<kJumps>(s, unfinished);
      active = true;
    }
    return active;
  }

  // What happened to the lanes of a vector within a window.
  struct Events {
    M finished;  // these have finished their line, or had none
    M back;      // these go back to the first sample of their next run
    M down;      // those of them behind a jump down
    I last;      // the sample before the one where the next window starts
  };

  // One window further, or less where there is a jump.
  template <Jumps kJumps, typename Unfinished>
  JAXTV_ALWAYS_INLINE void Advance(Walkers<T>& s, const Unfinished& unfinished) {
    const Window<T> x = Gather(field_.lines, s.place);
    Window<T> w{};
    if constexpr (kEdges) w = Gather(field_.edges, s.place);
    Events events = {s.parked, M{}, M{}, s.place + Int<T>(kWindow - 1)};
    s.first = Select(s.fresh, x.sample[0], s.first);
    Step<kJumps, false>(s, s.place, x.sample[0], w.sample[0], &events);
    Step<kJumps, true>(s, s.place + 1, x.sample[1], w.sample[1], &events);
    const I start = events.last + 1;
    s.place = Select(events.finished, s.place, start);
    s.fresh = events.back;
    M late{};
    if (kJumps != Jumps::kFew || Bits<T>(events.back) != 0) {
      if (!kEndsAtStep<kJumps>) EndRuns(s, events.back, events.down, events.last);
      StartRuns(s, events.back);
      late = And(events.back, Less(s.spare + kRepeats * start, I{}));
    }
    const uint32_t ended = Bits<T>(Or(events.finished, late)) & s.active;
    if (__builtin_expect(ended != 0, 0)) {
      if (const uint32_t over = Bits<T>(late) & s.active) {
        for (int l = 0; l < kRow; ++l) {
          if (over >> l & 1) unfinished(s.place[l] * kRow + s.shift[l]);
        }
      }
      Refill(s, ended);
    }
  }

  // Takes the sample at `place`. Lanes that finished or go back take part, in vain. In a later step
  // of the window no lane is fresh.
  template <Jumps kJumps, bool kLater>
  JAXTV_ALWAYS_INLINE void Step(Walkers<T>& s, I place, V x, V edge, Events* events) {
    const V zero{};
    const M idle = Or(events->finished, events->back);
    const M at_end = Equal(place, s.end);
    const V weight = kOpen    ? (kEdges ? Min<T>(V{} + field_.cap, edge) : s.w)
                     : kEdges ? edge
                              : Select(at_end, zero, s.w);

    const V sample = x - s.first;
    const V a = s.path_low + (sample - s.low);
    const V b = s.path_high + (sample - s.high);
    s.length = s.length + T(1);
    const V inverse = T(1) / s.length;
    const V reach = Max<T>(s.carried, -s.carried);
    const V growth = kOpen ? V{} + field_.growth : s.growth;
    const V w = kEdges ? Min<T>(reach + s.length * growth, weight) : weight;
    M down = Less(a, -w), rise = Less(w, b), touch_low = AtMost(w, a), touch_high = AtMost(b, -w);
    s.path_low = Min<T>(a, w);
    s.path_high = Max<T>(b, -w);
    s.low = s.low + (a - s.path_low) * inverse;
    s.high = s.high + (b - s.path_high) * inverse;
    if (kEdges && !kLater) {
      down = AndNot(down, s.fresh);
      rise = AndNot(rise, s.fresh);
      TakeFirst(s, s.fresh, w);
      touch_low = Or(touch_low, s.fresh);
      touch_high = Or(touch_high, s.fresh);
    }
    const M jump = AndNot(Or(down, rise), idle);
    events->finished = Or(events->finished, AndNot(AndNot(at_end, jump), idle));
    if (kJumps != Jumps::kFew || Bits<T>(jump) != 0) {
      const M on = Jump<kJumps>(s, jump, down, place, at_end, events);
      if (kGoesOn<kJumps>) {
        s.first = Select(on, x, s.first);
        TakeFirst(s, on, weight);
        touch_low = Or(touch_low, on);
        touch_high = Or(touch_high, on);
      }
    }
    s.place_low = Select(touch_low, place, s.place_low);
    s.place_high = Select(touch_high, place, s.place_high);
    if constexpr (kEdges) {
      s.w_low = Select(touch_low, weight, s.w_low);
      s.w_high = Select(touch_high, weight, s.w_high);
    }
  }

  // Notes the runs that end in the lanes of `jump` before the sample at `place`. Returns the lanes
  // that take that sample at once as the first of their next run; the others go back. Having looked
  // at none again but it, those are not over budget if they were not before.
  template <Jumps kJumps>
  JAXTV_ALWAYS_INLINE M Jump(Walkers<T>& s, M jump, M down, I place, M at_end, Events* events) {
    // The level that jumps does not touch at this sample: its last touch is the end of the run.
    const I last = Select(down, s.place_low, s.place_high);
    const M on = kGoesOn<kJumps> ? AndNot(And(jump, Equal(last + 1, place)), at_end) : M{};
    const M back = AndNot(jump, on);
    events->back = Or(events->back, back);
    events->down = Or(events->down, And(back, down));
    events->last = Select(back, last, events->last);
    s.spare = Select(jump, s.spare - (place - last), s.spare);
    if (kEdges) s.carried = Select(jump, Select(down, s.w_low, -s.w_high), s.carried);
    if (kEndsAtStep<kJumps>) EndRuns(s, jump, down, last);
    return on;
  }

  // In the lanes of `m`, ends the runs up to `last`, by a jump up where it is not `down`.
  JAXTV_ALWAYS_INLINE void EndRuns(Walkers<T>& s, M m, M down, I last) {
    const I mark = Select(down, I{} + Int<T>(kDownMark), I{} + Int<T>(kUpMark));
    const I entry = 4 * ((kOpen ? last : last * kRow) + s.shift) + mark;
    logged_ += Compress(field_.log + logged_, m, entry);
    if (!kEdges) s.carried = Select(m, Select(down, s.w, -s.w), s.carried);
  }

  // In the lanes of `m`, the state behind the first sample of a run, where the bound is `w`.
  JAXTV_ALWAYS_INLINE void TakeFirst(Walkers<T>& s, M m, V w) {
    s.low = Select(m, s.carried - w, s.low);
    s.high = Select(m, s.carried + w, s.high);
    s.path_low = Select(m, w, s.path_low);
    s.path_high = Select(m, -w, s.path_high);
    s.length = Select(m, V{} + T(1), s.length);
  }

  // In the lanes of `m`, the state of fresh ones.
  JAXTV_ALWAYS_INLINE void StartRuns(Walkers<T>& s, M m) {
    if (!kEdges) {
      s.low = Select(m, s.carried - s.w, s.low);
      s.high = Select(m, s.carried + s.w, s.high);
    }
    s.path_low = Select(m, s.carried, s.path_low);
    s.path_high = Select(m, s.carried, s.path_high);
    s.length = Select(m, V{}, s.length);
  }

  // Starts the next lines in the lanes of `bits`; lanes for which there is none go idle.
  void Refill(Walkers<T>& s, uint32_t bits) {
    const M m = FromBits<T>(bits);
    const I park = I{} + field_.parking;
    for (int l = 0; kOpen && l < kRow; ++l) {
      const Int<T> start = s.end[l] - Int<T>(field_.length - 1);
      if (bits & s.active & 1u << l) repeats_ += budget_ - kRepeats * start - s.spare[l];
    }
    s.place = Expand(s.place, m, field_.queue + next_);
    s.shift = Expand(s.shift, m, field_.queue_shift + next_);
    if (!kEdges) s.w = Expand(s.w, m, field_.queue_weight + next_);
    if (kEdges && !kOpen) s.growth = Expand(s.growth, m, field_.queue_weight + next_);
    const I end = s.place + Int<T>(field_.length - 1);
    s.end = Select(m, Select(Less(park, end), park, end), s.end);
    s.spare = Select(m, budget_ - kRepeats * s.place, s.spare);
    s.carried =
        kOpen ? Expand(s.carried, m, field_.queue_carried + next_) : Select(m, V{}, s.carried);
    StartRuns(s, m);
    s.fresh = Or(s.fresh, m);
    s.parked = Equal(s.place, park);
    s.active = ~Bits<T>(s.parked) & kAllLanes<T>;
    next_ += __builtin_popcount(bits);
    if (next_ > field_.queued) next_ = field_.queued;
  }

  const Field<T> field_;
  const Int<T> budget_;
  int64_t next_ = 0, logged_ = 0, repeats_ = 0;
};

}  // namespace JAXTV_ISA
}  // namespace jaxtv
