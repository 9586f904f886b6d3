// SPDX-License-Identifier: MIT
// The taut string for the TV prox of one line: linear time on any data, but serial and with memory,
// so it is for the long lines on which walks go over budget.
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
#include <cstdlib>
#include <cstring>

#include "core/tv1d.h"
#include "cpu/tv1d_stitch.h"

namespace jaxtv {

// A sum of many terms. One of doubles carries what each addition rounded off, as in core/run.h.
template <typename T>
struct Height {
  double sum = 0.0, carry = 0.0;

  void Add(double term) {
    const double before = sum;
    sum = before + term;
    if (sizeof(T) < sizeof(double)) return;
    const double added = sum - before;
    carry += (before - (sum - added)) + (term - added);
  }
  double operator-(const Height& other) const { return (sum - other.sum) + (carry - other.carry); }
};

// A vertex of a chain, with the slope of the edge that leads to it.
template <typename T>
struct Vertex {
  int64_t place;
  Height<T> height;
  double slope;
};

template <typename T>
double Slope(const Vertex<T>& from, const Vertex<T>& to) {
  return (to.height - from.height) / double(to.place - from.place);
}

// The vertices after the last bend, in memory that grows with them.
template <typename T>
class Chain {
 public:
  bool single() const { return end_ - begin_ == 1; }
  bool empty() const { return end_ == begin_; }
  const Vertex<T>& front() const { return data()[begin_]; }
  void PopFront() { ++begin_; }
  void Clear() { begin_ = end_ = 0; }

  // Adds a vertex and removes those before it that it leaves on the wrong side: `sign` * slope
  // increases along a chain. False where there is no memory.
  bool Push(const Vertex<T>& bend, Vertex<T> v, double sign) {
    for (;; --end_) {
      v.slope = Slope(end_ - begin_ > 0 ? data()[end_ - 1] : bend, v);
      if (empty() || sign * v.slope > sign * data()[end_ - 1].slope) break;
    }
    if (end_ == capacity_ && !MakeRoom()) return false;
    data()[end_++] = v;
    return true;
  }

 private:
  Vertex<T>* data() const { return static_cast<Vertex<T>*>(memory_.get()); }

  bool MakeRoom() {
    const size_t size = size_t(end_ - begin_) * sizeof(Vertex<T>);
    if (2 * begin_ > capacity_) {
      std::memmove(memory_.get(), data() + begin_, size);
    } else {
      const int64_t capacity = std::max<int64_t>(1024, 2 * capacity_);
      Memory more(std::malloc(size_t(capacity) * sizeof(Vertex<T>)), std::free);
      if (!more) return false;
      if (size > 0) std::memcpy(more.get(), data() + begin_, size);
      memory_ = std::move(more);
      capacity_ = capacity;
    }
    end_ -= begin_;
    begin_ = 0;
    return true;
  }

  Memory memory_{nullptr, std::free};
  int64_t begin_ = 0, end_ = 0, capacity_ = 0;
};

// Marks the jumps of a line from `start` on, where its marks are right before. False where there is
// no memory.
template <typename T>
bool TautJumps(const MarkedLine<T>& line, int64_t start) {
  const int64_t n = line.length;
  std::memset(line.marks + start, kNoMark, size_t(n - start));
  const T center = line.x[start];
  Height<T> sum;
  Vertex<T> bend = {start, {start > 0 ? double(line.JumpAt(start - 1).pull()) : 0.0, 0.0}, 0.0};
  Chain<T> lower, upper;
  // The path bends at the first vertex of a chain.
  const auto follow = [&](Chain<T>& chain, Mark mark) {
    bend = chain.front();
    chain.PopFront();
    line.marks[bend.place - 1] = mark;
  };
  for (int64_t place = start + 1; place <= n; ++place) {
    sum.Add(double(line.x[place - 1]) - double(center));
    const double w = double(line.w(place - 1));
    Vertex<T> low = {place, sum, 0.0}, high = low;
    low.height.Add(-w);
    high.height.Add(w);
    if (!lower.Push(bend, low, -1.0) || !upper.Push(bend, high, 1.0)) return false;
    while (upper.single() && !lower.single() && lower.front().slope > upper.front().slope) {
      follow(lower, kDownMark);
      upper.Clear();
      upper.Push(bend, high, 1.0);
    }
    while (lower.single() && !upper.single() && lower.front().slope > upper.front().slope) {
      follow(upper, kUpMark);
      lower.Clear();
      lower.Push(bend, low, -1.0);
    }
  }
  return true;
}

}  // namespace jaxtv
