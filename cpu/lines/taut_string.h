// SPDX-License-Identifier: MIT
// The taut string for the TV prox of one line. It takes linear time on any data, but it is serial
// and needs memory, so it is for the lines on which walks go over budget.
//
// With S_p = sum_{k<p} (x_k - c), the sums Y_p of the solution are the shortest path from Y_0 = S_0
// to Y_n = S_n with |Y_p - S_p| <= w_{p-1} (P. L. Davies and A. Kovac, "Local Extremes, Runs,
// Strings and Multiresolution", Annals of Statistics 29, 2001). It bends down where it touches the
// lower bound and up at the upper one. From the last bend on, two chains are kept: the least
// concave one above the lower bound, the greatest convex one below the upper bound. Once the first
// edge of the former is the steeper one, the path follows one of them: the new point made the other
// a single edge.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "core/run.h"
#include "core/tv1d_divide.h"
#include "cpu/lockstep/kernels.h"
#include "cpu/threads/memory.h"

namespace jaxtv {

// A vertex of a chain, with the slope of the edge that leads to it.
template <typename T>
struct Vertex {
  double place;
  LongSum<T> height;
  double slope;
};

// From the last bend to the last vertex.
template <typename T>
struct Chain {
  Vertex<T>*bend, *last, *limit;

  bool single() const { return last - bend == 1; }
  double slope() const { return bend[1].slope; }

  void StartAt(const Vertex<T>& start) {
    *bend = start;
    last = bend;
  }

  // Adds a vertex, for which there must be room, and removes those before it at which the chain
  // would bend the wrong way: the edges of a chain that bends up (kUp) get steeper.
  template <bool kUp>
  JAXTV_ALWAYS_INLINE void Add(double place, LongSum<T> height) {
    double rise, run;
    for (;; --last) {
      rise = height - last->height;
      run = place - last->place;
      // A quotient for each vertex that is looked at would take most of the time.
      if (last == bend || (kUp ? last->slope * run < rise : rise < last->slope * run)) break;
    }
    *++last = {place, height, rise / run};
  }
};

// Memory of a chain, which grows with it.
template <typename T>
class ChainMemory {
 public:
  // A chain without edges. Its memory is null where there is none.
  Chain<T> Start() {
    memory_ = Allocate(kLeast * int64_t(sizeof(Vertex<T>)));
    return {data(), data(), data() + (memory_ ? kLeast : 0)};
  }

  // The chain, moved to where there is room for one more vertex; to null where there is no memory.
  // By value and by a call, so that it stays in registers while it need not move.
  Chain<T> WithRoom(Chain<T> chain) { return chain.last + 1 < chain.limit ? chain : Move(chain); }

 private:
  static constexpr int64_t kLeast = 1024;

  Vertex<T>* data() const { return static_cast<Vertex<T>*>(memory_.get()); }

  JAXTV_NEVER_INLINE Chain<T> Move(Chain<T> chain) {
    const int64_t capacity = chain.limit - data(), edges = chain.last - chain.bend;
    const size_t size = size_t(edges + 1) * sizeof(Vertex<T>);
    if (2 * edges < capacity) {
      std::memmove(memory_.get(), chain.bend, size);
      return {data(), data() + edges, chain.limit};
    }
    Memory more = Allocate(2 * capacity * int64_t(sizeof(Vertex<T>)));
    if (!more) return {};
    std::memcpy(more.get(), chain.bend, size);
    memory_ = std::move(more);
    return {data(), data() + edges, data() + 2 * capacity};
  }

  Memory memory_;
};

// The jumps of samples start..n-1 of a line behind the jump `left`, from left to right: calls
// jump(k, sign) for one behind sample k, and goes on while that is true. False where there is no
// memory.
template <typename T, typename Samples, typename Weights, typename Report>
bool FollowTautString(const Samples& x, const Weights& w, int64_t start, int64_t n, Jump<T> left,
                      const Report& jump) {
  ChainMemory<T> lower_memory, upper_memory;
  Chain<T> lower = lower_memory.Start(), upper = upper_memory.Start();
  if (!lower.bend || !upper.bend) return false;
  *lower.bend = *upper.bend = {double(start), {double(left.pull())}, 0.0};
  const double center = double(x[start]);
  LongSum<T> sum;
  for (int64_t k = start; k < n; ++k) {
    sum.Add(double(x[k]) - center);
    const double place = double(k + 1), bound = double(w(k));
    LongSum<T> low = sum, high = sum;
    low.Add(-bound);
    high.Add(bound);
    lower = lower_memory.WithRoom(lower);
    upper = upper_memory.WithRoom(upper);
    if (!lower.bend || !upper.bend) return false;
    lower.template Add<false>(place, low);
    upper.template Add<true>(place, high);
    // The path bends at the first vertex of a chain.
    while (lower.slope() > upper.slope()) {
      if (upper.single() && !lower.single()) {
        if (!jump(int64_t((++lower.bend)->place) - 1, -1)) return true;
        upper.StartAt(*lower.bend);
        upper.template Add<true>(place, high);
      } else if (lower.single() && !upper.single()) {
        if (!jump(int64_t((++upper.bend)->place) - 1, +1)) return true;
        lower.StartAt(*upper.bend);
        lower.template Add<false>(place, low);
      } else {
        break;
      }
    }
  }
  return true;
}

// Marks the rest of a line of a batch in lock step, as FinishLine says.
template <typename T>
bool MarkTautJumps(const T* x, const T* lam, bool per_edge, int64_t start, int64_t n, Jump<T> left,
                   uint8_t* marks, int64_t stride) {
  const Line<const T> samples{x, 1}, weights{lam, per_edge};
  const EdgeWeights<T> w(weights, per_edge, n, std::numeric_limits<T>::infinity());
  return FollowTautString(samples, w, start, n, left, [&](int64_t k, int sign) {
    marks[k * stride] = sign < 0 ? kDownMark : kUpMark;
    return true;
  });
}

// Solves the rest of a line whose walk went over budget, as DivideRest of core/tv1d.h does.
struct TautRest {
  template <typename Samples, typename Weights, typename T>
  void operator()(const Samples& x, const Weights& w, int64_t start, int64_t n, Line<T> y,
                  RunWriter<T, Samples>& writer) const {
    const auto write = [&](int64_t last, int sign) {
      writer.Write(start, last, {sign, w(last)});
      start = last + 1;
      return true;
    };
    if (FollowTautString(x, w, start, n, writer.left(), write)) {
      write(n - 1, 0);
    } else {
      DivideRuns(x, w, start, n, y, writer);
    }
  }
};

}  // namespace jaxtv
