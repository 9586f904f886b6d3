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
inline int64_t End(const Interior& at, int64_t begin) {
  return begin + kBlock < at.pixels ? begin + kBlock : at.pixels;
}

// The weighted differences of an image down and to the right of a pixel.
inline double Down(const Interior& at, const double* image, int64_t i) {
  return at.down[i] * (image[i + at.length] - image[i]);
}
inline double Right(const Interior& at, const double* image, int64_t i) {
  return at.right[i] * (image[i + 1] - image[i]);
}

// The scaling and A at the iterate, and what its products come to. The determinants <S, J S> and
// <Z, J Z> are products of a sum and a difference, of which the latter is small near the end.
Centrality Scale(const Interior& at) {
  RowSum product, gap;
  double products[kBlock], gaps[kBlock];
  for (int64_t begin = 0; begin < at.pixels; begin += kBlock) {
    const int64_t end = End(at, begin);
    JAXTV_EACH_ALONE
    for (int64_t i = begin; i < end; ++i) {
      const double p = at.p[i], q = at.q[i], r = at.radius[i], t = at.bound[i];
      const double g = Down(at, at.image, i), h = Right(at, at.image, i);
      const double length = std::sqrt(g * g + h * h), size = std::sqrt(p * p + q * q);
      const double det_s = (t - length) * (t + length);
      const double det_z = (r - size) * (r + size);
      const double root_s = 1 / std::sqrt(det_s), root_z = 1 / std::sqrt(det_z);
      const double along = g * p + h * q, sum = t * r - along;
      const double scale = 1 / std::sqrt(2 * (1 + sum * root_s * root_z));
      const double first = scale * (r * root_z + t * root_s);
      const double second = -scale * (p * root_z + g * root_s);
      const double third = -scale * (q * root_z + h * root_s);
      const double ratio = det_z * root_z * root_s, k = 2 / (2 * first * first - 1);
      at.v0[i] = first;
      at.v1[i] = second;
      at.v2[i] = third;
      at.eta[i] = ratio;
      at.a[i] = at.down[i] * at.down[i] * ratio * (1 - k * second * second);
      at.b[i] = -(at.down[i] * at.right[i] * ratio * k * second * third);
      at.c[i] = at.right[i] * at.right[i] * ratio * (1 - k * third * third);
      products[i - begin] = sum;
      gaps[i - begin] = r * length - along;
    }
    Add(end - begin, products, &product);
    Add(end - begin, gaps, &gap);
  }
  return {Total(product), Total(gap)};
}

// c and R_0 for R = -Z.
void Predict(const Interior& at) {
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < at.pixels; ++i) {
    const double v0 = at.v0[i], across = 2 * v0 / (2 * v0 * v0 - 1) * at.radius[i];
    at.e[i] = -at.p[i] - across * at.v1[i];
    at.f[i] = -at.q[i] - across * at.v2[i];
    at.to_bound[i] = -at.radius[i];
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
void Correct(const Interior& at, double mu) {
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < at.pixels; ++i) {
    const double p = at.p[i], q = at.q[i], r = at.radius[i], v0 = at.v0[i], v1 = at.v1[i],
                 v2 = at.v2[i];
    const Vector s{at.bound[i], Down(at, at.image, i), Right(at, at.image, i)};
    const Vector ds{at.to_bound[i], Down(at, at.to_image, i), Right(at, at.to_image, i)};
    const double det = s.x0 * s.x0 - (s.x1 * s.x1 + s.x2 * s.x2);
    const Vector n{v0 + 1, v1, v2}, back{n.x0, -n.x1, -n.x2};
    const Vector scaled = Reflected(n, s), along = Reflected(n, ds);
    const Vector across = Reflected(back, {0, -at.to_p[i], -at.to_q[i]});
    const Vector both{Inner(along, across), along.x0 * across.x1 + across.x0 * along.x1,
                      along.x0 * across.x2 + across.x0 * along.x2};
    const double first = (scaled.x0 * both.x0 - scaled.x1 * both.x1 - scaled.x2 * both.x2) / det;
    const double by = 1 / scaled.x0;
    const Vector divided{first, by * (both.x1 - first * scaled.x1),
                         by * (both.x2 - first * scaled.x2)};
    const Vector second = Reflected(n, divided);
    const double center = mu / det;
    const double r0 = center * s.x0 - r - second.x0;
    const double r1 = p - center * s.x1 - second.x1;
    const double r2 = q - center * s.x2 - second.x2;
    const double factor = 2 * v0 / (2 * v0 * v0 - 1) * r0;
    at.e[i] = factor * v1 - r1;
    at.f[i] = factor * v2 - r2;
    at.to_bound[i] = r0;
  }
}

// -m (y - x) - D^T s (p + c).
void RightSide(const Interior& at) {
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < at.pixels; ++i) {
    const int64_t above = i - at.length;
    const double from = at.down[above] * (at.p[above] + at.e[above]) +
                        at.right[i - 1] * (at.q[i - 1] + at.f[i - 1]);
    at.to_image[i] = (at.down[i] * (at.p[i] + at.e[i]) + at.right[i] * (at.q[i] + at.f[i]) - from) -
                     at.weight[i] * (at.image[i] - at.data[i]);
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
StepSums Finish(const Interior& at) {
  RowSum linear, square;
  double shortest = 0, linears[kBlock], squares[kBlock], shorts[kBlock];
  for (int64_t begin = 0; begin < at.pixels; begin += kBlock) {
    const int64_t end = End(at, begin);
    JAXTV_EACH_ALONE
    for (int64_t i = begin; i < end; ++i) {
      const double p = at.p[i], q = at.q[i], r = at.radius[i], t = at.bound[i], v0 = at.v0[i],
                   v1 = at.v1[i], v2 = at.v2[i];
      const double g = Down(at, at.image, i), h = Right(at, at.image, i);
      const double dg = Down(at, at.to_image, i), dh = Right(at, at.to_image, i);
      const double k = 2 / (2 * v0 * v0 - 1), along = v1 * dg + v2 * dh;
      const double dp = at.e[i] + at.eta[i] * (dg - k * v1 * along);
      const double dq = at.f[i] + at.eta[i] * (dh - k * v2 * along);
      const double dt = k * (at.to_bound[i] / (2 * at.eta[i]) - v0 * along);
      const double length = std::sqrt(g * g + h * h), size = std::sqrt(p * p + q * q);
      const double of_s = Leaves((t - length) * (t + length), t * dt - g * dg - h * dh,
                                 dt * dt - dg * dg - dh * dh);
      const double of_z = Leaves((r - size) * (r + size), -(p * dp + q * dq), -(dp * dp + dq * dq));
      shorts[i - begin] = Larger(of_s, of_z);
      linears[i - begin] = r * dt - p * dg - q * dh - g * dp - h * dq;
      squares[i - begin] = -(dg * dp + dh * dq);
      at.to_bound[i] = dt;
      at.to_p[i] = dp;
      at.to_q[i] = dq;
    }
    for (int64_t i = 0; i < end - begin; ++i) shortest = Larger(shortest, shorts[i]);
    Add(end - begin, linears, &linear);
    Add(end - begin, squares, &square);
  }
  return {shortest, Total(linear), Total(square)};
}

void Move(const Interior& at, double length) {
  JAXTV_EACH_ALONE
  for (int64_t i = 0; i < at.pixels; ++i) {
    at.image[i] += length * at.to_image[i];
    at.bound[i] += length * at.to_bound[i];
    at.p[i] += length * at.to_p[i];
    at.q[i] += length * at.to_q[i];
  }
}

}  // namespace

const InteriorKernels& Interiors() {
  static constexpr InteriorKernels kKernels = {Scale, Predict, Correct, RightSide, Finish, Move};
  return kKernels;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
