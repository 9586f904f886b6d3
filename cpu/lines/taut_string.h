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
  int64_t place;
  LongSum<T> height;
  double slope;
};

// The vertices after the last bend, in memory that grows with them.
template <typename T>
class Chain {
 public:
  bool single() const { return end_ - begin_ == 1; }
  bool empty() const { return end_ == begin_; }
  const Vertex<T>& front() const { return data()[begin_]; }
  void PopFront() { ++begin_; }
  void Clear() { begin_ = end_ = 0; }

  // Adds a vertex and removes those before it at which the chain would bend the wrong way: the
  // edges of a chain that bends up (kUp) get steeper.
  template <bool kUp>
  JAXTV_ALWAYS_INLINE bool Push(const Vertex<T>& bend, int64_t place, LongSum<T> height) {
    double rise, run;
    for (;; --end_) {
      const Vertex<T>& from = empty() ? bend : data()[end_ - 1];
      rise = height - from.height;
      run = double(place - from.place);
      // A quotient for each vertex that is looked at would take most of the time.
      if (empty() || (kUp ? from.slope * run < rise : rise < from.slope * run)) break;
    }
    if (end_ == capacity_ && !Grow()) return false;
    data()[end_++] = {place, height, rise / run};
    return true;
  }

 private:
  Vertex<T>* data() const { return static_cast<Vertex<T>*>(memory_.get()); }

  bool Grow() {
    const size_t size = size_t(end_ - begin_) * sizeof(Vertex<T>);
    if (2 * begin_ > capacity_) {
      std::memmove(memory_.get(), data() + begin_, size);
    } else {
      const int64_t capacity = std::max<int64_t>(1024, 2 * capacity_);
      Memory more = Allocate(capacity * int64_t(sizeof(Vertex<T>)));
      if (!more) return false;
      if (size > 0) std::memcpy(more.get(), data() + begin_, size);
      memory_ = std::move(more);
      capacity_ = capacity;
    }
    end_ -= begin_;
    begin_ = 0;
    return true;
  }

  Memory memory_;
  int64_t begin_ = 0, end_ = 0, capacity_ = 0;
};

template <typename T>
class TautString {
 public:
  // The jumps of samples start..n-1 of a line behind the jump `left`, from left to right: calls
  // jump(k, sign) for one behind sample k. False where there is no memory.
  template <typename Samples, typename Weights, typename Report>
  bool Run(const Samples& x, const Weights& w, int64_t start, int64_t n, Jump<T> left,
           const Report& jump) {
    const T center = x[start];
    LongSum<T> sum;
    Vertex<T> bend = {start, {double(left.pull()), 0.0}, 0.0};
    lower_.Clear();
    upper_.Clear();
    // The path bends at the first vertex of a chain.
    const auto follow = [&](Chain<T>& chain, int sign) {
      bend = chain.front();
      chain.PopFront();
      jump(bend.place - 1, sign);
    };
    for (int64_t place = start + 1; place <= n; ++place) {
      sum.Add(double(x[place - 1]) - double(center));
      const double bound = double(w(place - 1));
      LongSum<T> low = sum, high = sum;
      low.Add(-bound);
      high.Add(bound);
      const auto add_lower = [&] { return lower_.template Push<false>(bend, place, low); };
      const auto add_upper = [&] { return upper_.template Push<true>(bend, place, high); };
      if (!add_lower() || !add_upper()) return false;
      while (upper_.single() && !lower_.single() && Crossed()) {
        follow(lower_, -1);
        upper_.Clear();
        add_upper();
      }
      while (lower_.single() && !upper_.single() && Crossed()) {
        follow(upper_, +1);
        lower_.Clear();
        add_lower();
      }
    }
    return true;
  }

 private:
  bool Crossed() const { return lower_.front().slope > upper_.front().slope; }

  Chain<T> lower_, upper_;
};

// Marks the rest of a line of a batch in lock step, as FinishLine says.
template <typename T>
bool MarkTautJumps(const T* x, const T* lam, bool per_edge, int64_t start, int64_t n, Jump<T> left,
                   uint8_t* marks, int64_t stride) {
  const Line<const T> samples{x, 1}, weights{lam, per_edge};
  const EdgeWeights<T> w(weights, per_edge, n, std::numeric_limits<T>::infinity());
  return TautString<T>().Run(samples, w, start, n, left, [&](int64_t k, int sign) {
    marks[k * stride] = sign < 0 ? kDownMark : kUpMark;
  });
}

// Solves the rest of a line whose walk went over budget, as DivideRest of core/tv1d.h does.
struct TautRest {
  template <typename Samples, typename Weights, typename T>
  void operator()(const Samples& x, const Weights& w, int64_t start, int64_t n, Line<T> y,
                  RunWriter<T, Samples>& writer) const {
    TautString<T> string;
    const auto write = [&](int64_t last, int sign) {
      writer.Write(start, last, {sign, w(last)});
      start = last + 1;
    };
    if (string.Run(x, w, start, n, writer.left(), write)) {
      write(n - 1, 0);
    } else {
      DivideRuns(x, w, start, n, y, writer);
    }
  }
};

}  // namespace jaxtv
