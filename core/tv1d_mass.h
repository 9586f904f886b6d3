// SPDX-License-Identifier: MIT
// The exact TV prox of one line with a mass on each sample and a weight on each edge:
//
//   y = argmin 1/2 sum_k m_k (y_k - x_k)^2 + sum_k w_k |y_{k+1} - y_k|,   m_k >= 0.
//
// Samples without mass. Such a y_k enters only its two edges. Over a stretch of them between two
// samples with mass, the least sum of w |jump| puts the whole jump on the least of the weights: the
// stretch is one edge with that weight. The samples before its place, the first if several are the
// least, have the value on their left, the others that on their right; at an end of the line, that
// of the only side. Edges of weight 0 cut the line into pieces; a piece without mass is not
// determined at all, and is 0.
//
// Method: the taut string (P. L. Davies and A. Kovac, "Local Extremes, Runs, Strings and
// Multiresolution", Annals of Statistics 29, 2001), with mass as its abscissa. The samples with
// mass of a piece have T_p = sum_{j<p} m_j and S_p = sum_{j<p} m_j (x_j - c). With the dual u_k =
// sum_{i<=k} m_i (y_i - x_i), for which |u_k| <= w_k, and u_k = w_k sign(y_{k+1} - y_k) at a jump,
// S + u is the shortest path from (0, 0) to (T_n, S_n) through all gates [S_p - w, S_p + w] at T_p:
// its slopes are y - c. It bends down where it touches the lower end of a gate, and up at the upper
// one. From the last bend on, two chains are kept: the least concave one above the lower ends, the
// greatest convex one below the upper ends. Once the first edge of the former is the steeper one,
// the path follows one of them: the new gate made the other a single edge.
//
// Rounding: T and S are double, and carry what each addition rounds off, since masses may be of any
// size beside each other. A mass so small (2^-100) that even so it is lost beside the sum of those
// before it counts as none. Values come from the samples of the runs (core/run.h).
//
// Cost: linear in n on any data, with work space for kMassDoubles doubles per sample.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "core/line.h"
#include "core/run.h"

namespace jaxtv {

// Work space of one line: arrays of 8 bytes per sample, of which element k of array i is
// data[(i * n + k) * stride].
constexpr int kMassDoubles = 8;
struct MassScratch {
  double* data;
  int64_t n, stride;

  template <typename Word>
  JAXTV_HD Line<Word> Array(int i) const {
    static_assert(sizeof(Word) == sizeof(double), "words are as large as doubles");
    return {reinterpret_cast<Word*>(data) + i * n * stride, stride};
  }
};

// A number that is summed up without loss.
using WideSum = LongSum<double>;

// One line, read as double, in powers of two for which no product of x and m over- or underflows.
template <typename T>
struct MassLine {
  Line<const T> x, lam, mass;
  int64_t n;
  bool valid = true;  // all weights >= 0, all masses finite and >= 0, all x with mass finite
  T low, high;        // of the samples with mass
  int x_exponent = 0, mass_exponent = 0;
  double cap = 0.0;  // no dual of the line exceeds it

  JAXTV_HD MassLine(Line<const T> x, Line<const T> lam, Line<const T> mass, int64_t n)
      : x(x), lam(lam), mass(mass), n(n) {
    T heaviest = T(0);
    bool any = false;
    low = high = T(0);
    for (int64_t k = 0; k < n; ++k) {
      const T m = mass[k];
      valid = valid && m >= T(0) && m - m == T(0) && !(k < n - 1 && !(lam[k] >= T(0)));
      heaviest = m > heaviest ? m : heaviest;
      if (!(m > T(0))) continue;
      valid = valid && x[k] - x[k] == T(0);
      low = !any || x[k] < low ? x[k] : low;
      high = !any || x[k] > high ? x[k] : high;
      any = true;
    }
    if (!valid) return;
    x_exponent = Exponent(high > -low ? high : -low);
    mass_exponent = Exponent(heaviest);
    const double range = Scaled(high, x_exponent) - Scaled(low, x_exponent);
    cap = double(n) * Scaled(heaviest, mass_exponent) * range;
  }

  JAXTV_HD double X(int64_t k) const { return Scaled(x[k], x_exponent); }
  JAXTV_HD double Mass(int64_t k) const { return Scaled(mass[k], mass_exponent); }
  JAXTV_HD double Weight(int64_t k) const {
    const double weight = Scaled(lam[k], x_exponent + mass_exponent);
    return weight < cap ? weight : cap;
  }

  // A level as a sample; no prox leaves the range of its samples, but for rounding.
  JAXTV_HD T Level(double value) const {
    const T level = T(x_exponent == 0 ? value : std::scalbn(value, x_exponent));
    return level < low ? low : level > high ? high : level;
  }

 private:
  // 0 where products of two numbers up to 2^200, and sums of them, do no harm.
  JAXTV_HD static int Exponent(T most) {
    const int exponent = most > T(0) ? std::ilogb(double(most)) : 0;
    return exponent < -200 || exponent > 200 ? exponent : 0;
  }
  JAXTV_HD static double Scaled(T value, int exponent) {
    return exponent == 0 ? double(value) : std::scalbn(double(value), -exponent);
  }
};

namespace taut {

// A point of the plane in which the string lies.
struct Point {
  WideSum mass, height;
};

JAXTV_HD inline double Slope(const Point& from, const Point& to) {
  return (to.height - from.height) / (to.mass - from.mass);
}

// The gates of a piece, each behind a sample with mass.
struct Gates {
  Line<double> mass, mass_carry, sum, sum_carry, bound;
  Line<int64_t> place;  // the sample after which a jump in this gate lies

  // The end of gate p that is `side` (-1 lower, +1 upper).
  JAXTV_HD Point At(int64_t p, double side) const {
    Point point{{mass[p], mass_carry[p]}, {sum[p], sum_carry[p]}};
    point.height.Add(side * bound[p]);
    return point;
  }
};

// The vertices after the last bend: ends of gates on one side, by the numbers of these.
struct Chain {
  Line<int64_t> gate;
  double side;
  int64_t begin = 0, end = 0;

  JAXTV_HD bool Single() const { return end - begin == 1; }
  JAXTV_HD int64_t Front() const { return gate[begin]; }

  // Adds gate p and removes those before it at which the chain would bend the wrong way.
  JAXTV_HD void Push(const Gates& gates, const Point& bend, int64_t p) {
    const Point added = gates.At(p, side);
    for (; end > begin; --end) {
      const Point last = gates.At(gate[end - 1], side);
      const Point before = end - begin > 1 ? gates.At(gate[end - 2], side) : bend;
      if (side * Slope(last, added) > side * Slope(before, last)) break;
    }
    gate[end++] = p;
  }

  JAXTV_HD void Restart(const Gates& gates, const Point& bend, int64_t p) {
    begin = end = 0;
    Push(gates, bend, p);
  }
};

}  // namespace taut

// Solves the pieces of a valid line.
template <typename T>
class MassSolver {
 public:
  JAXTV_HD MassSolver(const MassLine<T>& line, MassScratch scratch, Line<T> y)
      : line_(line),
        y_(y),
        gates_{scratch.Array<double>(0), scratch.Array<double>(1), scratch.Array<double>(2),
               scratch.Array<double>(3), scratch.Array<double>(4), scratch.Array<int64_t>(5)},
        lower_{scratch.Array<int64_t>(6), -1.0},
        upper_{scratch.Array<int64_t>(7), +1.0} {}

  // Samples first..last, between edges of weight 0 or ends of the line.
  JAXTV_HD void Solve(int64_t first, int64_t last) {
    const int64_t count = FindGates(first, last);
    if (count == 0 || first == last) {
      for (int64_t k = first; k <= last; ++k) y_[k] = count == 0 ? T(0) : T(line_.x[k]);
      return;
    }
    start_ = first;
    left_ = {0, 0.0};
    Pull(count);
    Write(last, {0, 0.0});
  }

 private:
  // One gate for each sample with mass, with the least weight up to the next one. The last gate is
  // the end of the path.
  JAXTV_HD int64_t FindGates(int64_t first, int64_t last) {
    int64_t count = 0;
    WideSum mass, sum;
    double center = 0.0;
    for (int64_t k = first; k <= last; ++k) {
      const double m = line_.Mass(k), weight = k < last ? line_.Weight(k) : 0.0;
      const WideSum before = mass;
      mass.Add(m);
      if (mass - before > 0.0) {
        if (count == 0) center = line_.X(k);
        sum.Add(m * (line_.X(k) - center));
        gates_.mass[count] = mass.sum;
        gates_.mass_carry[count] = mass.carry;
        gates_.sum[count] = sum.sum;
        gates_.sum_carry[count] = sum.carry;
        gates_.bound[count] = weight;
        gates_.place[count++] = k;
      } else if (count > 0 && weight < gates_.bound[count - 1]) {
        gates_.bound[count - 1] = weight;
        gates_.place[count - 1] = k;
      }
    }
    if (count > 0) gates_.bound[count - 1] = 0.0;
    return count;
  }

  // Pulls the string tight, and writes each run once its end is known.
  JAXTV_HD void Pull(int64_t count) {
    taut::Point bend;
    lower_.begin = lower_.end = upper_.begin = upper_.end = 0;
    for (int64_t p = 0; p < count; ++p) {
      lower_.Push(gates_, bend, p);
      upper_.Push(gates_, bend, p);
      while (upper_.Single() && !lower_.Single() && Crossed(bend)) Bend(lower_, upper_, p, &bend);
      while (lower_.Single() && !upper_.Single() && Crossed(bend)) Bend(upper_, lower_, p, &bend);
    }
  }

  JAXTV_HD bool Crossed(const taut::Point& bend) const {
    return taut::Slope(bend, gates_.At(lower_.Front(), -1.0)) >
           taut::Slope(bend, gates_.At(upper_.Front(), +1.0));
  }

  // The path bends at the first vertex of one chain, where the other starts again.
  JAXTV_HD void Bend(taut::Chain& chain, taut::Chain& other, int64_t p, taut::Point* bend) {
    const int64_t gate = chain.Front();
    ++chain.begin;
    *bend = gates_.At(gate, chain.side);
    other.Restart(gates_, *bend, p);
    Write(gates_.place[gate], {int(chain.side), gates_.bound[gate]});
  }

  // Writes the run up to sample `last`, before the jump `right`.
  JAXTV_HD void Write(int64_t last, Jump<double> right) {
    WideSum sum, mass;
    double center = 0.0;
    bool any = false;
    for (int64_t k = start_; k <= last; ++k) {
      const double m = line_.Mass(k);
      if (!(m > 0.0)) continue;
      if (!any) center = line_.X(k);
      any = true;
      mass.Add(m);
      sum.Add(m * (line_.X(k) - center));
    }
    sum.Add(right.pull());
    sum.Add(-left_.pull());
    T value = line_.Level(center + sum.Total() / mass.Total());
    // A jump that rounding closed or inverted is no jump: the two runs tie.
    if (left_.sign < 0 && value > previous_) value = previous_;
    if (left_.sign > 0 && value < previous_) value = previous_;
    for (int64_t k = start_; k <= last; ++k) y_[k] = value;
    start_ = last + 1;
    left_ = right;
    previous_ = value;
  }

  const MassLine<T>& line_;
  const Line<T> y_;
  const taut::Gates gates_;
  taut::Chain lower_, upper_;
  int64_t start_ = 0;             // the first sample of the run that is not written yet,
  Jump<double> left_ = {0, 0.0};  // the jump before it,
  T previous_ = T(0);             // and the value before that
};

// The prox of one line. `lam` and `mass` have stride 0 where the line has one weight or one mass.
// A line with a negative or NaN weight, with a mass that is negative or not finite, or with an x
// that is not finite where there is mass, is NaN.
template <typename T>
JAXTV_HD void ProxMassLine(Line<const T> x, Line<const T> lam, Line<const T> mass, int64_t n,
                           Line<T> y, MassScratch scratch) {
  const MassLine<T> line(x, lam, mass, n);
  if (!line.valid) {
    for (int64_t k = 0; k < n; ++k) y[k] = std::numeric_limits<T>::quiet_NaN();
    return;
  }
  MassSolver<T> solver(line, scratch, y);
  for (int64_t first = 0, last; first < n; first = last + 1) {
    for (last = first; last < n - 1 && lam[last] > T(0);) ++last;
    solver.Solve(first, last);
  }
}

}  // namespace jaxtv
