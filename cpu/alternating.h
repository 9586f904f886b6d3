// SPDX-License-Identifier: MIT
// Accelerated alternating minimisation of the dual of the TV prox of one image.
//
// With K_a the images D_a^T p with |p| <= lam_a, the dual of the prox is
//
//   min 1/2 |x - sum_a v_a|^2   over   v_a in K_a,
//
// and x - sum_a v_a at the minimum is the primal solution. The projection on K_a is z - prox_a(z),
// so minimising over one v_a is a prox of every line along axis a; doing so in turn is proximal
// Dykstra. A sweep starts from blocks that are extrapolated, all but the first, by Nesterov's
// weights:
//
//   u_a = v_a + (t - 1)/t' (v_a - v_a of the sweep before),     t' = (1 + sqrt(1 + 4 t^2))/2
//   x_0 = prox_0(x - sum_a u_a),   x_a = prox_a(x_{a-1} + u_a),   v_a' = x_{a-1} + u_a - x_a,
//
// and x = x_last + v_0 + sum_a v_a' holds without storing v_0. For two axes this is an accelerated
// proximal gradient method with step 1 (A. Chambolle and T. Pock, "A remark on accelerated block
// coordinate descent for computing the proximity operators of a sum of convex functions", SMAI
// Journal of Computational Mathematics 1, 2015). The momentum restarts (t = 1) when
// the step turns against the gradient: sum_a <u_a - v_a', v_a' - v_a> > 0 (B. O'Donoghue and E.
// Candes, "Adaptive Restart for Accelerated Gradient Schemes", 2015). For more axes there is no
// proof, so there it also restarts when the dual energy rises: a sweep without momentum cannot
// raise it.
#pragma once

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "cpu/image.h"
#include "cpu/sum.h"

namespace jaxtv {

template <typename T>
class Alternating {
 public:
  // `image`, `weights` (one for each axis) and `x` must outlive this.
  Alternating(const Image& image, const std::vector<AxisWeights<T>>& weights, const T* x)
      : weights_(weights), x_(x), results_(image.axes()), duals_(image.axes()) {
    for (int a = 0; a < image.axes(); ++a) {
      blocks_.emplace_back(image, a);
      results_[a].resize(image.pixels());
      if (a > 0) duals_[a].now.resize(image.pixels());
      if (a > 0) duals_[a].before.resize(image.pixels());
    }
  }

  int axes() const { return int(blocks_.size()); }
  const T* x() const { return x_; }
  const LineBlocks& blocks(int axis) const { return blocks_[axis]; }
  const AxisWeights<T>& weights(int axis) const { return weights_[axis]; }

  // The result of the last line solves along an axis: exactly constant on runs along it.
  const T* result(int axis) const { return results_[axis].data(); }
  const T* last() const { return results_.back().data(); }

  // v_a, for all axes but the first.
  const T* dual(int axis) const { return duals_[axis].now.data(); }

  // |x_a - x_{a-1}|^2 over a > 0 in the last sweep: 0 at the solution.
  double residual() const { return residual_; }

  // With two axes, half a projection of x on K_1 saves up to a fifth of the sweeps.
  template <typename Run>
  void Start(const Run& run) {
    if (axes() != 2) return;
    T* v = duals_[1].now.data();
    Solve(run, 1, [&](int64_t, const LineBlock& block, T* in, T* out) {
      Load(block, in, [&](int64_t k) { return x_[k]; });
      ProxBlock(block, weights_[1], in, out);
      ForRows(block, [&](int64_t k, int64_t j) { v[k] = (in[j] - out[j]) / 2; });
    });
  }

  template <typename Run>
  void Sweep(const Run& run) {
    const double t_next = (1 + std::sqrt(1 + 4 * t_ * t_)) / 2;
    const T beta = T((t_ - 1) / t_next);
    SolveFirst(run, beta);
    Sums sums;
    for (int a = 1; a < axes(); ++a) sums += SolveNext(run, a, beta);
    for (int a = 1; a < axes(); ++a) duals_[a].now.swap(duals_[a].before);
    residual_ = sums.residual;
    const bool rose = axes() > 2 && sums.energy > energy_;
    energy_ = sums.energy;
    t_ = sums.against > 0 || rose ? 1.0 : t_next;
  }

 private:
  struct Dual {
    std::vector<T> now, before;
  };

  struct Sums {
    double against = 0, residual = 0, energy = 0;

    void operator+=(const Sums& other) {
      against += other.against;
      residual += other.residual;
      energy = other.energy;  // of the axis done last
    }
  };

  template <typename Run, typename Body>
  void Solve(const Run& run, int axis, const Body& body) {
    run(blocks_[axis].count(), [&](int64_t begin, int64_t end) {
      std::vector<T> buffer;
      for (int64_t b = begin; b < end; ++b) {
        const LineBlock block = blocks_[axis][b];
        buffer.resize(2 * block.samples());
        body(b, block, buffer.data(), buffer.data() + block.samples());
      }
    });
  }

  // Calls f(k, j) for every sample: pixel k, place j in the block's buffer.
  template <typename F>
  static void ForRows(const LineBlock& block, const F& f) {
    for (int64_t r = 0; r < block.rows; ++r) {
      const int64_t k = block.first + r * block.stride, j = r * block.width;
      for (int64_t i = 0; i < block.width; ++i) f(k + i, j + i);
    }
  }

  template <typename F>
  static void Load(const LineBlock& block, T* in, const F& value) {
    ForRows(block, [&](int64_t k, int64_t j) { in[j] = value(k); });
  }

  template <typename Run>
  void SolveFirst(const Run& run, T beta) {
    T* result = results_[0].data();
    Solve(run, 0, [&](int64_t, const LineBlock& block, T* in, T* out) {
      Load(block, in, [&](int64_t k) { return x_[k]; });
      for (int a = 1; a < axes(); ++a) {
        const T *now = duals_[a].now.data(), *before = duals_[a].before.data();
        ForRows(block,
                [&](int64_t k, int64_t j) { in[j] -= now[k] + beta * (now[k] - before[k]); });
      }
      ProxBlock(block, weights_[0], in, out);
      ForRows(block, [&](int64_t k, int64_t j) { result[k] = out[j]; });
    });
  }

  template <typename Run>
  Sums SolveNext(const Run& run, int axis, T beta) {
    const T *previous = results_[axis - 1].data(), *now = duals_[axis].now.data();
    T *result = results_[axis].data(), *before = duals_[axis].before.data();
    std::vector<Sums> partial(blocks_[axis].count());
    Solve(run, axis, [&](int64_t b, const LineBlock& block, T* in, T* out) {
      Load(block, in,
           [&](int64_t k) { return previous[k] + (now[k] + beta * (now[k] - before[k])); });
      ProxBlock(block, weights_[axis], in, out);
      LaneSum against, residual, energy;
      for (int64_t r = 0; r < block.rows; ++r) {
        const int64_t k = block.first + r * block.stride, j = r * block.width;
        ForLanes(block.width, [&](int64_t i, int lane) {
          const T y = out[j + i], v = in[j + i] - y, step = y - previous[k + i];
          against.Add(lane, step, v - now[k + i]);
          residual.Add(lane, step, step);
          energy.Add(lane, y, y);
          before[k + i] = v;
          result[k + i] = y;
        });
      }
      partial[b] = {against.Total(), residual.Total(), energy.Total()};
    });
    Sums sums;
    for (const Sums& p : partial) {
      sums.against += p.against;
      sums.residual += p.residual;
      sums.energy += p.energy;
    }
    return sums;
  }

  const std::vector<AxisWeights<T>>& weights_;
  const T* x_;
  std::vector<LineBlocks> blocks_;
  std::vector<std::vector<T>> results_;
  std::vector<Dual> duals_;
  double t_ = 1, residual_ = 0, energy_ = INFINITY;
};

}  // namespace jaxtv
