// SPDX-License-Identifier: MIT
// Plain loops, which compilers turn into vectors of the instruction set that JAXTV_ISA names. They
// call no inline function outside of its namespace, for the reason that cpu/simd/vectors.h gives.
#include "cpu/isotropic/row_kernels.h"

#include <cmath>
#include <cstring>
#include <type_traits>

#include "cpu/isotropic/loops.h"
#include "cpu/simd/row_sums.h"

namespace jaxtv {
namespace JAXTV_ISA {
namespace {

// 1 / sqrt(square) to a few ulp, without the instructions for roots and quotients, which take many
// times as long as products; a large number for 0. Each Newton step doubles the digits of a guess
// that is read off the exponent.
template <typename T>
inline T InverseRoot(T square) {
  constexpr bool kSingle = sizeof(T) == sizeof(float);
  using Bits = std::conditional_t<kSingle, int32_t, int64_t>;
  constexpr Bits kGuess = Bits(kSingle ? 0x5f375a86 : 0x5fe6eb50c7b537a9);
  Bits bits;
  std::memcpy(&bits, &square, sizeof(bits));
  bits = kGuess - (bits >> 1);
  T y;
  std::memcpy(&y, &bits, sizeof(y));
  const T half = T(0.5) * square;
  for (int i = 0; i < (kSingle ? 3 : 4); ++i) y = y * (T(1.5) - half * y * y);
  return y;
}

// A divisor that is not 0.
template <typename T>
constexpr T kTiny = T(1e-37);

template <typename T>
inline T Smaller(T a, T b) {
  return a < b ? a : b;
}

template <typename T>
inline T Larger(T a, T b) {
  return a > b ? a : b;
}

inline double Size(double a) { return a < 0 ? -a : a; }

// y' and what follows from it, where D^T s p is back(i).
template <typename T, typename Weight, typename Back>
inline void FinishPrimal(const PrimalRow<T>& row, const Weight& weight, const Back& back) {
  const T* JAXTV_RESTRICT source = row.source;
  T* JAXTV_RESTRICT y = row.y;
  T* JAXTV_RESTRICT ahead = row.ahead;
  const T step = row.step, relaxation = row.relaxation;
  for (int64_t i = 0; i < row.n; ++i) {
    const T old = y[i], next = (old + step * (source[i] - back(i))) * weight(i);
    ahead[i] = next + (next - old);
    y[i] = old + relaxation * (next - old);
  }
}

template <typename T, typename Back>
inline void WithWeights(const PrimalRow<T>& row, const Back& back) {
  const T step = row.step;
  if (const T* JAXTV_RESTRICT m = row.data_weight.each) {
    FinishPrimal(row, [=](int64_t i) { return T(1) / (T(1) + step * m[i]); }, back);
  } else {
    const T all = T(1) / (T(1) + step * row.data_weight.all);
    FinishPrimal(row, [=](int64_t) { return all; }, back);
  }
}

template <typename T>
void Primal(const PrimalRow<T>& row) {
  if (row.slopes == nullptr && row.axes == 2) {
    const T* JAXTV_RESTRICT a = row.duals[0].here;
    const T* JAXTV_RESTRICT a_before = row.duals[0].other;
    const T* JAXTV_RESTRICT b = row.duals[1].here;
    WithWeights(row, [=](int64_t i) { return (a_before[i] - a[i]) + (b[i - 1] - b[i]); });
    return;
  }
  T* JAXTV_RESTRICT back = row.work;
  for (int64_t i = 0; i < row.n; ++i) back[i] = T(0);
  for (int k = 0; k < row.axes; ++k) {
    const T* JAXTV_RESTRICT p = row.duals[k].here;
    const T* JAXTV_RESTRICT before = row.duals[k].other;
    if (row.slopes == nullptr) {
      for (int64_t i = 0; i < row.n; ++i) back[i] += before[i] - p[i];
    } else {
      const T* JAXTV_RESTRICT s = row.slopes[k].here;
      const T* JAXTV_RESTRICT s_before = row.slopes[k].other;
      for (int64_t i = 0; i < row.n; ++i) back[i] += s_before[i] * before[i] - s[i] * p[i];
    }
  }
  const T* JAXTV_RESTRICT sums = row.work;
  WithWeights(row, [=](int64_t i) { return sums[i]; });
}

// The duals of isotropic groups of two axes, one channel and no slopes, in one pass.
template <typename T>
void DualOfTwo(const DualRow<T>& row) {
  const T* JAXTV_RESTRICT radius = row.radii[0];
  const T* JAXTV_RESTRICT here = row.ahead[0].here;
  const T* JAXTV_RESTRICT below = row.ahead[0].other;
  const T* JAXTV_RESTRICT right = row.ahead[1].other;
  T* JAXTV_RESTRICT p = row.duals[0];
  T* JAXTV_RESTRICT q = row.duals[1];
  const T step = row.step, relaxation = row.relaxation;
  for (int64_t i = 0; i < row.n; ++i) {
    const T a = p[i] + step * (below[i] - here[i]), b = q[i] + step * (right[i] - here[i]);
    const T factor = Smaller(T(1), radius[i] * InverseRoot(a * a + b * b));
    p[i] += relaxation * (a * factor - p[i]);
    q[i] += relaxation * (b * factor - q[i]);
  }
}

// The same for the linear problem.
template <typename T>
void LinearOfTwo(const DualRow<T>& row) {
  const T* radius = row.radii[0];
  const T* length = row.lengths[0];
  const T* u = row.directions[0];
  const T* v = row.directions[1];
  const T* here = row.ahead[0].here;
  const T* below = row.ahead[0].other;
  const T* right = row.ahead[1].other;
  T* p = row.duals[0];
  T* q = row.duals[1];
  const T step = row.step, relaxation = row.relaxation;
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < row.n; ++i) {
    const T a = p[i] + step * (below[i] - here[i]), b = q[i] + step * (right[i] - here[i]);
    const T along = a * u[i] + b * v[i];
    const T factor = radius[i] / Larger(radius[i] + step * length[i], kTiny<T>);
    p[i] += relaxation * ((a - u[i] * along) * factor - p[i]);
    q[i] += relaxation * ((b - v[i] * along) * factor - q[i]);
  }
}

// p + step s D (2 y' - y) of one axis and channel.
template <typename T>
void Move(const DualRow<T>& row, int axis, const AxisRow<T>& ahead, const T* JAXTV_RESTRICT dual,
          T* JAXTV_RESTRICT moved) {
  const T* JAXTV_RESTRICT here = ahead.here;
  const T* JAXTV_RESTRICT after = ahead.other;
  const T step = row.step;
  if (row.slopes == nullptr) {
    for (int64_t i = 0; i < row.n; ++i) moved[i] = dual[i] + step * (after[i] - here[i]);
  } else {
    const T* JAXTV_RESTRICT s = row.slopes[axis];
    for (int64_t i = 0; i < row.n; ++i) moved[i] = dual[i] + step * s[i] * (after[i] - here[i]);
  }
}

// The sums over the axes and channels of each group of products of two rows, a(member) and
// b(member).
template <typename Row, typename A, typename B, typename Sum>
void SumProducts(const Row& row, const A& a, const B& b, Sum* sums) {
  for (int64_t i = 0; i < row.axes * row.n; ++i) sums[i] = Sum(0);
  for (int k = 0; k < row.axes; ++k) {
    Sum* JAXTV_RESTRICT sum = sums + (row.isotropic ? 0 : k) * row.n;
    for (int c = 0; c < row.channels; ++c) {
      const auto* left = a(k * row.channels + c);
      const auto* right = b(k * row.channels + c);
      for (int64_t i = 0; i < row.n; ++i) sum[i] += Sum(left[i]) * Sum(right[i]);
    }
  }
}

template <typename T>
void Dual(const DualRow<T>& row) {
  if (row.isotropic && row.channels == 1 && !row.slopes && row.axes == 2) {
    return row.lengths == nullptr ? DualOfTwo(row) : LinearOfTwo(row);
  }
  const int64_t n = row.n;
  const int members = row.axes * row.channels;
  T* const sums = row.work + members * n;
  T* const factors = sums + row.axes * n;
  const auto moved = [&](int member) { return row.work + member * n; };
  for (int k = 0; k < row.axes; ++k) {
    for (int c = 0; c < row.channels; ++c) {
      const int member = k * row.channels + c;
      Move(row, k, row.ahead[member], row.duals[member], moved(member));
    }
  }
  if (row.lengths == nullptr) {
    SumProducts(row, moved, moved, sums);
  } else {
    SumProducts(row, moved, [&](int member) { return row.directions[member]; }, sums);
  }
  const int groups = row.isotropic ? 1 : row.axes;
  const T step = row.step, relaxation = row.relaxation;
  for (int k = 0; k < groups; ++k) {
    const T* JAXTV_RESTRICT r = row.radii[k];
    const T* JAXTV_RESTRICT sum = sums + k * n;
    T* JAXTV_RESTRICT factor = factors + k * n;
    if (row.lengths == nullptr) {
      for (int64_t i = 0; i < n; ++i) {
        factor[i] = Smaller(T(1), r[i] * InverseRoot(sum[i]));
      }
    } else {
      const T* JAXTV_RESTRICT length = row.lengths[k];
      for (int64_t i = 0; i < n; ++i) {
        factor[i] = r[i] / Larger(r[i] + step * length[i], kTiny<T>);
      }
    }
  }
  for (int k = 0; k < row.axes; ++k) {
    const T* JAXTV_RESTRICT factor = factors + (row.isotropic ? 0 : k) * n;
    const T* JAXTV_RESTRICT along = sums + (row.isotropic ? 0 : k) * n;
    for (int c = 0; c < row.channels; ++c) {
      const int member = k * row.channels + c;
      const T* JAXTV_RESTRICT w = moved(member);
      T* JAXTV_RESTRICT p = row.duals[member];
      if (row.lengths == nullptr) {
        for (int64_t i = 0; i < n; ++i) p[i] += relaxation * (w[i] * factor[i] - p[i]);
      } else {
        const T* JAXTV_RESTRICT q = row.directions[member];
        for (int64_t i = 0; i < n; ++i) {
          p[i] += relaxation * ((w[i] - q[i] * along[i]) * factor[i] - p[i]);
        }
      }
    }
  }
}

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

template <typename T>
void Gap(const TestRow<T>& row, TestSums* sums) {
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
      const double cost = double(r[i]) * std::sqrt(square[i]);
      terms[i] = Larger(cost - row.scale * product[i], kSlack * cost);
      size[i] = kSlack * cost;
    }
    Add(n, terms, &sums->rest);
    Add(n, size, &sums->rest);
  }
}

template <typename T>
void Residual(const TestRow<T>& row, TestSums* sums) {
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
constexpr RowKernels<T> kKernels = {Primal<T>, Dual<T>, Excess<T>, Gap<T>, Residual<T>};

}  // namespace

const RowSet& Rows() {
  static constexpr RowSet kSet = {kKernels<float>, kKernels<double>};
  return kSet;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
