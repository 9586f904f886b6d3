// SPDX-License-Identifier: MIT
// Plain loops, as in row_kernels.cc.
#include "cpu/isotropic/test_kernels.h"

#include "cpu/isotropic/group_sums.h"
#include "cpu/simd/row_sums.h"

namespace jaxtv {
namespace JAXTV_ISA {
namespace {

inline double Size(double a) { return a < 0 ? -a : a; }

// What rounding to double takes from a term is less than this times its parts.
constexpr double kSlack = 8 * 2.220446049250313e-16;

// D^T s p of one channel, and the sum of the magnitudes in it.
template <typename T>
void Back(const TestRow<T>& row, int channel, double* JAXTV_RESTRICT back,
          double* JAXTV_RESTRICT size) {
  for (int64_t i = 0; i < row.n; ++i) back[i] = size[i] = 0;
  for (int k = 0; k < row.axes; ++k) {
    const AxisRow<T> dual = row.duals[k * row.channels + channel];
    const T* JAXTV_RESTRICT p = dual.here;
    const T* JAXTV_RESTRICT before = dual.other;
    if (row.slopes == nullptr) {
      for (int64_t i = 0; i < row.n; ++i) {
        back[i] += double(before[i]) - double(p[i]);
        size[i] += Size(double(before[i])) + Size(double(p[i]));
      }
    } else {
      const T* JAXTV_RESTRICT s = row.slopes[k].here;
      const T* JAXTV_RESTRICT s_before = row.slopes[k].other;
      for (int64_t i = 0; i < row.n; ++i) {
        const double in = double(s_before[i]) * double(before[i]),
                     out = double(s[i]) * double(p[i]);
        back[i] += in - out;
        size[i] += Size(in) + Size(out);
      }
    }
  }
}

// h = s D y of each axis and channel, in row.work.
template <typename T>
void Steps(const TestRow<T>& row) {
  for (int k = 0; k < row.axes; ++k) {
    const T* JAXTV_RESTRICT s = row.slopes ? row.slopes[k].here : nullptr;
    for (int c = 0; c < row.channels; ++c) {
      const int member = k * row.channels + c;
      const T* JAXTV_RESTRICT here = row.y[member].here;
      const T* JAXTV_RESTRICT after = row.y[member].other;
      double* JAXTV_RESTRICT h = row.work + member * row.n;
      for (int64_t i = 0; i < row.n; ++i) h[i] = double(after[i]) - double(here[i]);
      for (int64_t i = 0; s && i < row.n; ++i) h[i] *= double(s[i]);
    }
  }
}

// The largest |p|^2 / r^2 of a group.
template <typename T>
double Excess(const TestRow<T>& row) {
  const int64_t n = row.n;
  double* const squares = row.work;
  const auto dual = [&](int member) { return row.duals[member].here; };
  SumProducts(row, dual, dual, squares);
  double most = 0;
  for (int k = 0; k < (row.isotropic ? 1 : row.axes); ++k) {
    const T* JAXTV_RESTRICT radius = row.radii[k];
    double* JAXTV_RESTRICT ratio = squares + k * n;
    for (int64_t i = 0; i < n; ++i) {
      const double r = radius[i];
      ratio[i] = r > 0 ? ratio[i] / (r * r) : 0;
    }
    for (int64_t i = 0; i < n; ++i) most = Larger(most, ratio[i]);
  }
  return most;
}

// Isotropic groups of two axes and one channel without slopes take one pass.
template <typename T>
bool IsOfTwo(const TestRow<T>& row) {
  return row.axes == 2 && row.channels == 1 && row.isotropic && row.slopes == nullptr;
}

template <typename T>
void GapOfTwo(const TestRow<T>& row, TestSums* sums) {
  double* squares = row.work;
  double* rests = row.work + row.n;
  const T* x = row.x[0];
  const T* m = row.data_weights[0];
  const T* r = row.radii[0];
  const T* y = row.y[0].here;
  const T* below = row.y[0].other;
  const T* p = row.duals[0].here;
  const T* above = row.duals[0].other;
  const T* q = row.duals[1].here;
  const double low = row.low[0], high = row.high[0], scale = row.scale;
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < row.n; ++i) {
    const double p0 = p[i], p1 = above[i], q0 = q[i], q1 = q[i - 1];
    const double back = scale * ((p1 - p0) + (q1 - q0)), weight = m[i], value = x[i], here = y[i];
    const double best = value - back / Larger(weight, kTiny<double>);
    const double free = back > 0 ? low : high, kept = weight > 0 ? best : free;
    const double u = Smaller(Larger(kept, low), high), off = here - u;
    const double parts =
        weight * (Size(u) + Size(value)) + (Size(p1) + Size(p0)) + (Size(q1) + Size(q0));
    const double slack = kSlack * parts * Size(off);
    const double down = double(below[i]) - here, right = double(y[i + 1]) - here;
    const double cost = double(r[i]) * Root(down * down + right * right);
    const double inner = scale * (p0 * down + q0 * right);
    squares[i] = weight * off * off;
    rests[i] = (Larger((weight * (u - value) + back) * off, slack) + slack) +
               (Larger(cost - inner, kSlack * cost) + kSlack * cost);
  }
  Add(row.n, squares, &sums->square);
  Add(row.n, rests, &sums->rest);
}

template <typename T>
void Gap(const TestRow<T>& row, TestSums* sums) {
  if (IsOfTwo(row)) return GapOfTwo(row, sums);
  const int64_t n = row.n;
  double* const squares = row.work + row.axes * row.channels * n;
  double* const products = squares + row.axes * n;
  double* JAXTV_RESTRICT back = products + row.axes * n;
  double* JAXTV_RESTRICT size = back + n;
  double* JAXTV_RESTRICT terms = size + n;
  for (int c = 0; c < row.channels; ++c) {
    Back(row, c, back, size);
    const T* JAXTV_RESTRICT y = row.y[c].here;
    const T* JAXTV_RESTRICT x = row.x[c];
    const T* JAXTV_RESTRICT m = row.data_weights[c];
    const double low = row.low[c], high = row.high[c];
    for (int64_t i = 0; i < n; ++i) back[i] *= row.scale;
    for (int64_t i = 0; i < n; ++i) {  // u, cut to the box
      const double free = back[i] > 0 ? low : high;
      const double u = double(x[i]) - back[i] / Larger(double(m[i]), kTiny<double>);
      const double kept = m[i] > T(0) ? u : free;
      terms[i] = Smaller(Larger(kept, low), high);
    }
    for (int64_t i = 0; i < n; ++i) {
      const double weight = m[i], value = x[i], u = terms[i], off = double(y[i]) - u;
      const double slope = weight * (u - value) + back[i];
      const double parts = weight * (Size(u) + Size(value)) + size[i];
      back[i] = Larger(slope * off, kSlack * parts * Size(off));
      size[i] = kSlack * parts * Size(off);
      terms[i] = weight * off * off;
    }
    Add(n, terms, &sums->square);
    Add(n, back, &sums->rest);
    Add(n, size, &sums->rest);
  }
  Steps(row);
  const auto steps = [&](int member) { return row.work + member * n; };
  SumProducts(row, steps, steps, squares);
  SumProducts(row, steps, [&](int member) { return row.duals[member].here; }, products);
  for (int k = 0; k < (row.isotropic ? 1 : row.axes); ++k) {
    const T* JAXTV_RESTRICT r = row.radii[k];
    const double* JAXTV_RESTRICT square = squares + k * n;
    const double* JAXTV_RESTRICT product = products + k * n;
    for (int64_t i = 0; i < n; ++i) {
      const double cost = double(r[i]) * Root(square[i]);
      terms[i] = Larger(cost - row.scale * product[i], kSlack * cost);
      size[i] = kSlack * cost;
    }
    Add(n, terms, &sums->rest);
    Add(n, size, &sums->rest);
  }
}

template <typename T>
void ResidualOfTwo(const TestRow<T>& row, TestSums* sums) {
  double* squares = row.work;
  const T* source = row.x[0];
  const T* m = row.data_weights[0];
  const T* r = row.radii[0];
  const T* length = row.lengths[0];
  const T* u = row.directions[0];
  const T* v = row.directions[1];
  const T* z = row.y[0].here;
  const T* below = row.y[0].other;
  const T* p = row.duals[0].here;
  const T* above = row.duals[0].other;
  const T* q = row.duals[1].here;
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < row.n; ++i) {
    const double p0 = p[i], q0 = q[i], here = z[i], radius = r[i], u0 = u[i], v0 = v[i];
    const double back = (double(above[i]) - p0) + (double(q[i - 1]) - q0);
    const double off = double(m[i]) * here + back - double(source[i]);
    const double down = double(below[i]) - here, right = double(z[i + 1]) - here;
    const double along = down * u0 + right * v0;
    const double inverse = double(length[i]) / Larger(radius, kTiny<double>);
    const double off_down = down - u0 * along - inverse * p0;
    const double off_right = right - v0 * along - inverse * q0;
    const double of_group = off_down * off_down + off_right * off_right;
    squares[i] = off * off + (radius > 0 ? of_group : 0);
  }
  Add(row.n, squares, &sums->square);
}

template <typename T>
void Residual(const TestRow<T>& row, TestSums* sums) {
  if (IsOfTwo(row)) return ResidualOfTwo(row, sums);
  const int64_t n = row.n;
  double* const along = row.work + row.axes * row.channels * n;
  double* JAXTV_RESTRICT back = along + 2 * row.axes * n;
  double* JAXTV_RESTRICT size = back + n;
  double* JAXTV_RESTRICT terms = size + n;
  for (int c = 0; c < row.channels; ++c) {
    Back(row, c, back, size);
    const T* JAXTV_RESTRICT z = row.y[c].here;
    const T* JAXTV_RESTRICT source = row.x[c];
    const T* JAXTV_RESTRICT m = row.data_weights[c];
    for (int64_t i = 0; i < n; ++i) {
      const double off = double(m[i]) * double(z[i]) + back[i] - double(source[i]);
      terms[i] = off * off;
    }
    Add(n, terms, &sums->square);
  }
  Steps(row);
  const auto steps = [&](int member) { return row.work + member * n; };
  SumProducts(row, steps, [&](int member) { return row.directions[member]; }, along);
  for (int k = 0; k < row.axes; ++k) {
    const T* JAXTV_RESTRICT r = row.radii[k];
    const double* JAXTV_RESTRICT of_group = along + (row.isotropic ? 0 : k) * n;
    const T* JAXTV_RESTRICT length = row.lengths[k];
    for (int c = 0; c < row.channels; ++c) {
      const int member = k * row.channels + c;
      const double* JAXTV_RESTRICT h = row.work + member * n;
      const T* JAXTV_RESTRICT q = row.directions[member];
      const T* JAXTV_RESTRICT p = row.duals[member].here;
      for (int64_t i = 0; i < n; ++i) {
        const double radius = r[i], across = h[i] - double(q[i]) * of_group[i];
        const double off =
            across - double(length[i]) / Larger(radius, kTiny<double>) * double(p[i]);
        terms[i] = radius > 0 ? off * off : 0;
      }
      Add(n, terms, &sums->square);
    }
  }
}

template <typename T>
constexpr TestKernels<T> kTests = {Excess<T>, Gap<T>, Residual<T>};

}  // namespace

const TestSet& Tests() {
  static constexpr TestSet kSet = {kTests<float>, kTests<double>};
  return kSet;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
