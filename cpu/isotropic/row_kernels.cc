// SPDX-License-Identifier: MIT
// Plain loops, which compilers turn into vectors of the instruction set that JAXTV_ISA names. They
// call no inline function outside of its namespace, for the reason that cpu/simd/vectors.h gives.
#include "cpu/isotropic/row_kernels.h"

#include "cpu/isotropic/group_sums.h"

namespace jaxtv {
namespace JAXTV_ISA {
namespace {

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

template <typename T>
void Dual(const DualRow<T>& row) {
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
        factor[i] = Smaller(r[i] / Root(sum[i]), T(1));
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

template <typename T>
constexpr RowKernels<T> kKernels = {Primal<T>, Dual<T>};

}  // namespace

const RowSet& Rows() {
  static constexpr RowSet kSet = {kKernels<float>, kKernels<double>};
  return kSet;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
