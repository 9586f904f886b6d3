// SPDX-License-Identifier: MIT
// Plain loops, as in row_kernels.cc.
#include "cpu/isotropic/interior_kernels.h"

#include <cmath>

#include "cpu/isotropic/loops.h"
#include "cpu/simd/row_sums.h"

namespace jaxtv {
namespace JAXTV_ISA {
namespace {

// Each loop runs over a block of pixels, whose terms are then added.
constexpr int64_t kBlock = 128;

// The end of the block that begins at `begin`.
inline int64_t End(const Interior& state, int64_t begin) {
  return begin + kBlock < state.pixels ? begin + kBlock : state.pixels;
}

// The scaling and A at the iterate, and what its products come to. The determinants <S, J S> and
// <Z, J Z> are products of a sum and a difference, of which the latter is small near the end.
Centrality Scale(const Interior& state) {
  const double* y = state.image;
  const double* below = y + state.length;
  const double* down = state.down;
  const double* right = state.right;
  const double* r = state.radius;
  const double* t = state.bound;
  const double* p = state.p;
  const double* q = state.q;
  double* v0 = state.v0;
  double* v1 = state.v1;
  double* v2 = state.v2;
  double* eta = state.eta;
  double* a = state.a;
  double* b = state.b;
  double* c = state.c;
  RowSum product, gap;
  double products[kBlock], gaps[kBlock];
  for (int64_t begin = 0; begin < state.pixels; begin += kBlock) {
    const int64_t end = End(state, begin);
    JAXTV_EACH_ALONE
    for (int64_t i = begin; i < end; ++i) {
      const double g = down[i] * (below[i] - y[i]), h = right[i] * (y[i + 1] - y[i]);
      const double length = std::sqrt(g * g + h * h), size = std::sqrt(p[i] * p[i] + q[i] * q[i]);
      const double det_s = (t[i] - length) * (t[i] + length);
      const double det_z = (r[i] - size) * (r[i] + size);
      const double root_s = 1 / std::sqrt(det_s), root_z = 1 / std::sqrt(det_z);
      const double along = g * p[i] + h * q[i], sum = t[i] * r[i] - along;
      const double scale = 1 / std::sqrt(2 * (1 + sum * root_s * root_z));
      const double first = scale * (r[i] * root_z + t[i] * root_s);
      const double second = -scale * (p[i] * root_z + g * root_s);
      const double third = -scale * (q[i] * root_z + h * root_s);
      const double ratio = det_z * root_z * root_s, k = 2 / (2 * first * first - 1);
      v0[i] = first;
      v1[i] = second;
      v2[i] = third;
      eta[i] = ratio;
      a[i] = down[i] * down[i] * ratio * (1 - k * second * second);
      b[i] = -(down[i] * right[i] * ratio * k * second * third);
      c[i] = right[i] * right[i] * ratio * (1 - k * third * third);
      products[i - begin] = sum;
      gaps[i - begin] = r[i] * length - along;
    }
    Add(end - begin, products, &product);
    Add(end - begin, gaps, &gap);
  }
  return {Total(product), Total(gap)};
}

// c and R_0 for R = -Z.
void Predict(const Interior& state) {
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < state.pixels; ++i) {
    const double v0 = state.v0[i], across = 2 * v0 / (2 * v0 * v0 - 1) * state.radius[i];
    state.e[i] = -state.p[i] - across * state.v1[i];
    state.f[i] = -state.q[i] - across * state.v2[i];
    state.to_bound[i] = -state.radius[i];
  }
}

// Three numbers of a pixel, the first that of the cone's axis.
struct Vector {
  double x0, x1, x2;
};

inline double Inner(const Vector& a, const Vector& b) {
  return a.x0 * b.x0 + a.x1 * b.x1 + a.x2 * b.x2;
}

// (2 u u^T - J) d, where u is n / sqrt(2 n0).
inline Vector Reflected(const Vector& n, const Vector& d) {
  const double factor = Inner(n, d) / n.x0;
  return {factor * n.x0 - d.x0, factor * n.x1 + d.x1, factor * n.x2 + d.x2};
}

// c and R_0 for R = -Z + mu S^-1 - W (L \ (W dS o W^-1 dZ)), which ends at products (mu, 0) but for
// terms of third order: dS, dZ are those of -Z, W is the root of H, L = W S = W^-1 Z, S^-1 = J S /
// <S, J S>, and L \ is the inverse of L o. With u = (v + (1, 0)) / |...| the root is W = sqrt(eta)
// (2 u u^T - J), and W^-1 the same for J u; all roots of eta cancel.
void Correct(const Interior& state, double mu) {
  const double* y = state.image;
  const double* below = y + state.length;
  const double* dy = state.to_image;
  const double* dy_below = dy + state.length;
  const double* down = state.down;
  const double* right = state.right;
  const double* r = state.radius;
  const double* t = state.bound;
  const double* p = state.p;
  const double* q = state.q;
  const double* v0 = state.v0;
  const double* v1 = state.v1;
  const double* v2 = state.v2;
  const double* dt = state.to_bound;
  const double* dp = state.to_p;
  const double* dq = state.to_q;
  double* e = state.e;
  double* f = state.f;
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < state.pixels; ++i) {
    const Vector s{t[i], down[i] * (below[i] - y[i]), right[i] * (y[i + 1] - y[i])};
    const Vector ds{dt[i], down[i] * (dy_below[i] - dy[i]), right[i] * (dy[i + 1] - dy[i])};
    const double det = s.x0 * s.x0 - (s.x1 * s.x1 + s.x2 * s.x2);
    const Vector n{v0[i] + 1, v1[i], v2[i]}, back{n.x0, -n.x1, -n.x2};
    const Vector scaled = Reflected(n, s), along = Reflected(n, ds);
    const Vector across = Reflected(back, {0, -dp[i], -dq[i]});
    const Vector both{Inner(along, across), along.x0 * across.x1 + across.x0 * along.x1,
                      along.x0 * across.x2 + across.x0 * along.x2};
    const double first = (scaled.x0 * both.x0 - scaled.x1 * both.x1 - scaled.x2 * both.x2) / det;
    const double by = 1 / scaled.x0;
    const Vector divided{first, by * (both.x1 - first * scaled.x1),
                         by * (both.x2 - first * scaled.x2)};
    const Vector second = Reflected(n, divided);
    const double center = mu / det;
    const double r0 = center * s.x0 - r[i] - second.x0;
    const double r1 = p[i] - center * s.x1 - second.x1;
    const double r2 = q[i] - center * s.x2 - second.x2;
    const double factor = 2 * v0[i] / (2 * v0[i] * v0[i] - 1) * r0;
    e[i] = factor * v1[i] - r1;
    f[i] = factor * v2[i] - r2;
    state.to_bound[i] = r0;
  }
}

// -m (y - x) - D^T s (p + c).
void RightSide(const Interior& state) {
  const double* y = state.image;
  const double* x = state.data;
  const double* m = state.weight;
  const double* down = state.down;
  const double* right = state.right;
  const double* p = state.p;
  const double* q = state.q;
  const double* e = state.e;
  const double* f = state.f;
  double* to = state.to_image;
  const int64_t length = state.length;
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < state.pixels; ++i) {
    const int64_t above = i - length;
    const double from = down[above] * (p[above] + e[above]) + right[i - 1] * (q[i - 1] + f[i - 1]);
    to[i] = (down[i] * (p[i] + e[i]) + right[i] * (q[i] + f[i]) - from) - m[i] * (y[i] - x[i]);
  }
}

// 1 / the first length at which a point of a cone, moved along d, leaves it; 0 if it never does.
// Of both, and of their product, these are x0 y0 - x1 y1 - x2 y2.
inline double Leaves(double point, double product, double direction) {
  const double inside = product * product - point * direction;
  const double root = inside > 0 ? std::sqrt(inside) : 0;
  return inside >= 0 ? Larger(0.0, (root - product) / point) : 0;
}

// From dy the rest of a step, and how far it may go.
StepSums Finish(const Interior& state) {
  const double* y = state.image;
  const double* below = y + state.length;
  const double* dy = state.to_image;
  const double* dy_below = dy + state.length;
  const double* down = state.down;
  const double* right = state.right;
  const double* r = state.radius;
  const double* t = state.bound;
  const double* p = state.p;
  const double* q = state.q;
  const double* v0 = state.v0;
  const double* v1 = state.v1;
  const double* v2 = state.v2;
  const double* eta = state.eta;
  const double* e = state.e;
  const double* f = state.f;
  double* to_bound = state.to_bound;
  double* to_p = state.to_p;
  double* to_q = state.to_q;
  RowSum linear, square;
  double shortest = 0, linears[kBlock], squares[kBlock], shorts[kBlock];
  for (int64_t begin = 0; begin < state.pixels; begin += kBlock) {
    const int64_t end = End(state, begin);
    JAXTV_EACH_ALONE
    for (int64_t i = begin; i < end; ++i) {
      const double g = down[i] * (below[i] - y[i]), h = right[i] * (y[i + 1] - y[i]);
      const double dg = down[i] * (dy_below[i] - dy[i]), dh = right[i] * (dy[i + 1] - dy[i]);
      const double k = 2 / (2 * v0[i] * v0[i] - 1), along = v1[i] * dg + v2[i] * dh;
      const double dp = e[i] + eta[i] * (dg - k * v1[i] * along);
      const double dq = f[i] + eta[i] * (dh - k * v2[i] * along);
      const double dt = k * (to_bound[i] / (2 * eta[i]) - v0[i] * along);
      const double length = std::sqrt(g * g + h * h), size = std::sqrt(p[i] * p[i] + q[i] * q[i]);
      const double of_s = Leaves((t[i] - length) * (t[i] + length), t[i] * dt - g * dg - h * dh,
                                 dt * dt - dg * dg - dh * dh);
      const double of_z =
          Leaves((r[i] - size) * (r[i] + size), -(p[i] * dp + q[i] * dq), -(dp * dp + dq * dq));
      shorts[i - begin] = Larger(of_s, of_z);
      linears[i - begin] = r[i] * dt - p[i] * dg - q[i] * dh - g * dp - h * dq;
      squares[i - begin] = -(dg * dp + dh * dq);
      to_bound[i] = dt;
      to_p[i] = dp;
      to_q[i] = dq;
    }
    for (int64_t i = 0; i < end - begin; ++i) shortest = Larger(shortest, shorts[i]);
    Add(end - begin, linears, &linear);
    Add(end - begin, squares, &square);
  }
  return {shortest, Total(linear), Total(square)};
}

void Move(const Interior& state, double length) {
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < state.pixels; ++i) {
    state.image[i] += length * state.to_image[i];
    state.bound[i] += length * state.to_bound[i];
    state.p[i] += length * state.to_p[i];
    state.q[i] += length * state.to_q[i];
  }
}

}  // namespace

const InteriorKernels& Interiors() {
  static constexpr InteriorKernels kKernels = {Scale, Predict, Correct, RightSide, Finish, Move};
  return kKernels;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
