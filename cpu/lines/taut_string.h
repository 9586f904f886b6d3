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
#include <type_traits>
#include <utility>

#include "core/run.h"
#include "core/tv1d_divide.h"
#include "cpu/lockstep/kernels.h"
#include "cpu/threads/memory.h"

namespace jaxtv {

// A sum of samples of type T: LongSum of core/run.h, without the carry that only doubles need.
template <typename T>
using Height = std::conditional_t<sizeof(T) < sizeof(double), double, LongSum<double>>;

JAXTV_ALWAYS_INLINE double Plus(double height, double term) { return height + term; }

JAXTV_ALWAYS_INLINE LongSum<double> Plus(LongSum<double> height, double term) {
  height.Add(term);
  return height;
}

// A vertex of a chain, with the slope of the edge that leads to it.
template <typename T>
struct Vertex {
  double place;
  Height<T> height;
  double slope;
};

// From the last bend to the last vertex.
template <typename T>
struct Chain {
  Vertex<T>*bend, *last;

  bool single() const { return last - bend == 1; }
  double slope() const { return bend[1].slope; }

  JAXTV_ALWAYS_INLINE void StartAt(const Vertex<T>& start) {
    *bend = start;
    last = bend;
  }

  // Adds a vertex, for which there must be room, and removes those before it at which the chain
  // would bend the wrong way: the edges of a chain that bends up (kUp) get steeper.
  template <bool kUp>
  JAXTV_ALWAYS_INLINE void Add(double place, Height<T> height) {
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
  // A chain without edges. Null where there is no memory.
  Chain<T> Start() {
    memory_ = Allocate(capacity_ * int64_t(sizeof(Vertex<T>)));
    return {data(), data()};
  }

  // The chain, moved to where there is room for `more` vertices; to null where there is no memory.
  Chain<T> WithRoom(Chain<T> chain, int64_t more) {
    if (chain.last + more < data() + capacity_) return chain;
    const int64_t edges = chain.last - chain.bend;
    const size_t size = size_t(edges + 1) * sizeof(Vertex<T>);
    if (2 * (edges + more) < capacity_) {
      std::memmove(memory_.get(), chain.bend, size);
    } else {
      capacity_ *= 2;
      Memory larger = Allocate(capacity_ * int64_t(sizeof(Vertex<T>)));
      if (!larger) return {};
      std::memcpy(larger.get(), chain.bend, size);
      memory_ = std::move(larger);
    }
    return {data(), data() + edges};
  }

 private:
  Vertex<T>* data() const { return static_cast<Vertex<T>*>(memory_.get()); }

  int64_t capacity_ = 1024;
  Memory memory_;
};

// The jumps of samples start..n-1 of a line behind the jump `left`, from left to right: calls
// jump(k, sign) for one behind sample k, and goes on while that is true. False where there is no
// memory.
template <typename T, typename Samples, typename Weights, typename Report>
bool FollowTautString(const Samples& x, const Weights& w, int64_t start, int64_t n, Jump<T> left,
                      const Report& jump) {
  constexpr int64_t kBlock = 256;  // samples for which room is made at once
  ChainMemory<T> lower_memory, upper_memory;
  Chain<T> lower = lower_memory.Start(), upper = upper_memory.Start();
  if (!lower.bend || !upper.bend) return false;
  *lower.bend = *upper.bend = {double(start), {double(left.pull())}, 0.0};
  const double center = double(x[start]);
  Height<T> sum = {};
  for (int64_t k = start; k < n;) {
    lower = lower_memory.WithRoom(lower, kBlock);
    upper = upper_memory.WithRoom(upper, kBlock);
    if (!lower.bend || !upper.bend) return false;
    for (const int64_t end = std::min(n, k + kBlock); k < end; ++k) {
      sum = Plus(sum, double(x[k]) - center);
      const double place = double(k + 1), bound = double(w(k));
      lower.template Add<false>(place, Plus(sum, -bound));
      upper.template Add<true>(place, Plus(sum, bound));
      // The path bends at the first vertex of a chain.
      while (lower.slope() > upper.slope()) {
        if (upper.single() && !lower.single()) {
          if (!jump(int64_t((++lower.bend)->place) - 1, -1)) return true;
          upper.StartAt(*lower.bend);
          upper.template Add<true>(place, Plus(sum, bound));
        } else if (lower.single() && !upper.single()) {
          if (!jump(int64_t((++upper.bend)->place) - 1, +1)) return true;
          lower.StartAt(*upper.bend);
          lower.template Add<false>(place, Plus(sum, -bound));
        } else {
          break;
        }
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
