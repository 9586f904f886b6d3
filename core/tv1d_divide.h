// SPDX-License-Identifier: MIT
// Threshold divide and conquer for the TV prox of one line: slower than the walk of tv1d.h on
// ordinary data, but never quadratic.
//
// State: segments whose boundary edges are known jumps. One round looks at every segment S once:
//   1. its level b is the mean of the solution over S, known from x and the boundary jumps (run.h);
//   2. {k in S : y_k > b} solves a binary problem (coarea formula; A. Chambolle and J. Darbon, "On
//      Total Variation Minimization and Surface Evolution Using Parametric Maximum Flows", IJCV 84,
//      2009; D. Hochbaum, "An Efficient Algorithm for Image Segmentation, Markov Random Fields and
//      Related Problems", JACM 48, 2001), which a chain solves by one clamped sum
//        m_k = clamp(M_k, -w_k, w_k),  M_k = m_{k-1} + (b - x_k):
//      y_k > b where M_k < -w_k, y_k <= b where M_k > w_k, else as its right neighbour;
//   3. a change between neighbours is a new jump. A segment without one is constant: done.
// Splitting at the mean takes O(log n log(range / resolution)) rounds: at each, either the range of
// the solution on a part halves, or that part is exponentially smaller than what lies beyond it.
//
// No memory: until the values are written, y holds a small integer per sample.
#pragma once

#include "core/line.h"
#include "core/run.h"

namespace jaxtv {

// Weight of edge k (between samples k and k + 1), capped; 0 beyond the last edge. `Weights` is a
// line, or what gives its elements.
template <typename T, typename Weights = Line<const T>>
struct EdgeWeights {
  Weights lam;
  bool per_edge;
  T cap;
  T range;  // the greatest sample less the least
  int64_t count;

  // |u| never exceeds n/2 times the range, so larger (also infinite) weights change nothing.
  JAXTV_HD EdgeWeights(Weights lam, bool per_edge, int64_t n, T range)
      : lam(lam), per_edge(per_edge), cap(T(n) * range), range(range), count(n - 1) {}

  JAXTV_HD T operator()(int64_t k) const {
    if (k >= count) return T(0);
    return lam[k] < cap ? lam[k] : cap;
  }
};

namespace divide {

// Codes in y. An edge keeps the sign of its jump (0: none yet) in the first digit, base 3 shifted
// to 0..2; a sample its side of the level in the second; the last sample of a finished segment +9.
constexpr int kNoJump = 1;
constexpr int kDone = 9;

template <typename T>
JAXTV_HD int JumpSign(T code) {
  return int(code) % 3 - 1;
}

template <typename T>
JAXTV_HD int Side(T code) {
  return int(code) / 3 % 3 - 1;
}

template <typename T>
struct Segment {
  int64_t first, last;
  Jump<T> left, right;
};

// The segment that starts at `first`.
template <typename Weights, typename T>
JAXTV_HD Segment<T> Find(const Weights& w, Line<T> y, int64_t first, int64_t n, Jump<T> left) {
  int64_t last = first;
  while (last < n - 1 && JumpSign(y[last]) == 0) ++last;
  const int sign = last == n - 1 ? 0 : JumpSign(y[last]);
  return {first, last, left, {sign, w(last)}};
}

// 1 / count, to twice the digits of T at least, but for double: one step of Newton's method on the
// quotient of T, which vectors compute faster than one of double.
template <typename T>
JAXTV_HD double Reciprocal(int64_t count) {
  const double guess = double(T(1) / T(count));
  return sizeof(T) < sizeof(double) ? guess * (2.0 - double(count) * guess) : guess;
}

// A line from its sample `last` backwards.
template <typename Samples>
struct Backwards {
  Samples x;
  int64_t last;

  JAXTV_HD auto operator[](int64_t k) const { return x[last - k]; }
};

// The mean of the solution over a segment. In double: the clamped sum must end at 0 with it.
template <typename Samples, typename T>
JAXTV_HD double Level(const Samples& x, const Segment<T>& s) {
  const double pull = double(s.right.pull()) - double(s.left.pull());
  const int64_t count = s.last - s.first + 1;
  const double sum = RunSum(Backwards<Samples>{x, s.last}, 0, count - 1);
  return double(x[s.last]) + (sum + pull) * Reciprocal<T>(count);
}

// Step 2, left to right: the side of each sample where its own clamped sum decides it, else 0. At
// the jump that ends the segment the sum is known, so both bounds are.
template <typename Samples, typename Weights, typename T>
JAXTV_HD void DecideSides(const Samples& x, const Weights& w, const Segment<T>& s, Line<T> y) {
  const double level = Level(x, s);
  double m = double(s.left.pull());
  for (int64_t k = s.first; k <= s.last; ++k) {
    m += level - double(x[k]);
    const double lo = k == s.last ? double(s.right.pull()) : -double(w(k));
    const double hi = k == s.last ? lo : double(w(k));
    const int side = m < lo ? 1 : hi < m ? -1 : 0;
    m = m < lo ? lo : hi < m ? hi : m;
    y[k] = T(JumpSign(y[k]) + 1 + 3 * (side + 1));
  }
}

// Steps 2 and 3, right to left: undecided samples follow their neighbour; true if there was a jump.
template <typename T>
JAXTV_HD bool MarkJumps(const Segment<T>& s, Line<T> y) {
  bool split = false;
  int right = Side(y[s.last]) > 0 ? 1 : -1;
  for (int64_t k = s.last; k >= s.first; --k) {
    const int side = Side(y[k]) != 0 ? Side(y[k]) : right;
    const int jump = k == s.last ? JumpSign(y[k]) : (right - side) / 2;
    split = split || (k != s.last && jump != 0);
    y[k] = T(jump + 1);
    right = side;
  }
  return split;
}

}  // namespace divide

// Solves samples start..n-1 of a line whose runs before `start` the writer has written.
template <typename Samples, typename Weights, typename T>
JAXTV_HD void DivideRuns(const Samples& x, const Weights& w, int64_t start, int64_t n, Line<T> y,
                         RunWriter<T, Samples>& writer) {
  using namespace divide;
  for (int64_t k = start; k < n; ++k) y[k] = T(kNoJump);
  bool open = true;
  while (open) {
    open = false;
    Jump<T> left = writer.left();
    for (int64_t first = start; first < n;) {
      const Segment<T> s = Find(w, y, first, n, left);
      if (y[s.last] < T(kDone)) {
        DecideSides(x, w, s, y);
        if (MarkJumps(s, y)) {
          open = true;
        } else {
          y[s.last] += T(kDone);
        }
      }
      left = s.right;
      first = s.last + 1;
    }
  }
  for (int64_t first = start; first < n;) {
    const Segment<T> s = Find(w, y, first, n, writer.left());
    writer.Write(s.first, s.last, s.right);
    first = s.last + 1;
  }
}

}  // namespace jaxtv
