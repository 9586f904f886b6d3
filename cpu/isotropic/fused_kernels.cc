// SPDX-License-Identifier: MIT
// Plain loops, as in row_kernels.cc.
#include "cpu/isotropic/fused_kernels.h"

#include "cpu/isotropic/loops.h"

namespace jaxtv {
namespace JAXTV_ISA {
namespace {

template <typename T>
inline T* Row(const Pixels<T>& pixels, int64_t row) {
  return pixels.first + row * pixels.stride;
}

// The image of a row, whose pixels move by `weight(i)` of what they would without data.
template <typename T, typename Weight>
inline void StepPixels(const FusedRows<T>& f, int64_t row, const Weight& weight) {
  const T* JAXTV_RESTRICT source = Row(f.source, row);
  const T* JAXTV_RESTRICT above = row > 0 ? Row(f.p, row - 1) : f.above;
  const T* JAXTV_RESTRICT p = Row(f.p, row);
  const T* JAXTV_RESTRICT q = Row(f.q, row);
  T* JAXTV_RESTRICT y = Row(f.y, row);
  T* JAXTV_RESTRICT ahead = Row(f.ahead, row);
  const T step = f.steps.primal, relaxation = f.steps.relaxation;
  const int64_t n = f.length;
  for (int64_t i = 0; i < n; ++i) {
    const T old = y[i], back = (above[i] - p[i]) + (q[i - 1] - q[i]);
    const T next = (old + step * (source[i] - back)) * weight(i);
    ahead[i] = next + (next - old);
    y[i] = old + relaxation * (next - old);
  }
  ahead[n] = f.periodic ? ahead[0] : ahead[n - 1];
}

template <typename T>
inline void StepImage(const FusedRows<T>& f, int64_t row) {
  const T step = f.steps.primal;
  if (f.data_weights.first == nullptr) {
    const T all = T(1) / (T(1) + step * f.data_weight);
    StepPixels(f, row, [=](int64_t) { return all; });
  } else {
    const T* JAXTV_RESTRICT m = Row(f.data_weights, row);
    StepPixels(f, row, [=](int64_t i) { return T(1) / (T(1) + step * m[i]); });
  }
}

// p and q after a step, projected on the radius.
template <typename T>
inline void Project(const FusedRows<T>& f, int64_t row, const T* below) {
  const T* JAXTV_RESTRICT here = Row(f.ahead, row);
  T* JAXTV_RESTRICT p = Row(f.p, row);
  T* JAXTV_RESTRICT q = Row(f.q, row);
  const T step = f.steps.dual, relaxation = f.steps.relaxation, radius = f.radius;
  for (int64_t i = 0; i < f.length; ++i) {
    const T a = p[i] + step * (below[i] - here[i]), b = q[i] + step * (here[i + 1] - here[i]);
    const T factor = Smaller(radius / Root(a * a + b * b), T(1));
    p[i] += relaxation * (a * factor - p[i]);
    q[i] += relaxation * (b * factor - q[i]);
  }
}

// The same for the linear problem.
template <typename T>
inline void Shrink(const FusedRows<T>& f, int64_t row, const T* below) {
  const T* here = Row(f.ahead, row);
  const T* length = Row(f.lengths, row);
  const T* u = Row(f.u, row);
  const T* v = Row(f.v, row);
  T* p = Row(f.p, row);
  T* q = Row(f.q, row);
  const T step = f.steps.dual, relaxation = f.steps.relaxation, radius = f.radius;
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < f.length; ++i) {
    const T a = p[i] + step * (below[i] - here[i]), b = q[i] + step * (here[i + 1] - here[i]);
    const T along = a * u[i] + b * v[i];
    const T factor = radius / Larger(radius + step * length[i], kTiny<T>);
    p[i] += relaxation * ((a - u[i] * along) * factor - p[i]);
    q[i] += relaxation * ((b - v[i] * along) * factor - q[i]);
  }
}

template <typename T>
inline void StepDuals(const FusedRows<T>& f, int64_t row, const T* below) {
  if (f.lengths.first == nullptr) {
    Project(f, row, below);
  } else {
    Shrink(f, row, below);
  }
  T* q = Row(f.q, row);
  q[-1] = f.periodic ? q[f.length - 1] : T(0);
}

template <typename T>
void Step(const FusedRows<T>& f) {
  for (int64_t row = 0; row < f.rows; ++row) {
    StepImage(f, row);
    if (row > 0) StepDuals<T>(f, row - 1, Row(f.ahead, row));
  }
}

template <typename T>
void Finish(const FusedRows<T>& f) {
  StepDuals(f, f.rows - 1, f.below);
}

}  // namespace

const FusedSet& Fused() {
  static constexpr FusedSet kSet = {{Step<float>, Finish<float>}, {Step<double>, Finish<double>}};
  return kSet;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
