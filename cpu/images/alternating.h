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
//
// With two axes the first sweeps, until that restart, are those of the proximal optimised gradient
// method on the dual that is left of v = v_1 after minimising over v_0, its two correction terms
// damped by alpha = 0.6:
//
//   w = v + x_0,   z = w + (t - 1)/t' (w - w before) + alpha (t/t' x_0 + (t - 1)/(t' g) p before),
//   p = prox_1(z),   v' = z - p,   x_0' = prox_0(x - v'),   g' = (2t + t' - 1)/t'
//
// (A. Taylor, J. Hendrickx and F. Glineur, "Exact worst-case performance of first-order methods for
// composite convex optimization", SIAM Journal on Optimization 2017; restarted as by D. Kim and J.
// Fessler, 2018). They meet a tolerance in about a quarter fewer sweeps. There is no proof for
// 0 < alpha < 1, so at most 200 of them are made; v is feasible, so any of them is a start for the
// accelerated method, and a certificate. At the solution z = v + c x_0 and p = c x_0, with c the
// sum of the weights, so the step is measured by p / c - x_0.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "core/image.h"
#include "cpu/images/pixel_kernels.h"
#include "cpu/images/prox_block.h"
#include "cpu/threads/buffer.h"

namespace jaxtv {

template <typename T>
class Alternating {
 public:
  // `image`, `weights` (one for each axis) and `x` must outlive this.
  Alternating(const Image& image, const std::vector<AxisWeights<T>>& weights, const T* x)
      : image_(image),
        weights_(weights),
        x_(x),
        results_(image.axes()),
        has_result_(image.axes()),
        duals_(image.axes()) {
    for (int a = 0; a < image.axes(); ++a) {
      blocks_.push_back(LineBlocks::WithinSlabs(image.Along(a)));
      results_[a] = Buffer<T>(image.pixels());
      if (a == 0) continue;
      duals_[a] = {Buffer<T>::Zeros(image.pixels()), Buffer<T>::Zeros(image.pixels())};
    }
    if (axes() == 2) w_ = Buffer<T>(image.pixels());
  }

  int axes() const { return int(blocks_.size()); }
  const T* x() const { return x_; }
  const LineBlocks& blocks(int axis) const { return blocks_[axis]; }
  const AxisWeights<T>& weights(int axis) const { return weights_[axis]; }

  // The result of the last line solves along an axis: exactly constant on runs along it.
  const T* result(int axis) const { return results_[axis].data(); }

  // x - sum_a v_a: that of the last line solves along any axis.
  const T* last() const { return results_[last_axis_].data(); }

  // v_a, for all axes but the first.
  const T* dual(int axis) const { return duals_[axis].now.data(); }

  // |x_a - x_{a-1}|^2 over a > 0 in the last sweep: 0 at the solution.
  double residual() const { return residual_; }

  // Starts from feasible duals p of the edges, v_a = D_a^T p_a; where all are 0 or there are none,
  // with two axes from half a projection of x on K_1, which saves up to a fifth of the sweeps.
  template <typename Run>
  void Start(const Run& run, const std::vector<T*>& duals) {
    bool warm = false;
    for (size_t a = 1; a < duals.size(); ++a) {
      const T* p = duals[a];
      const int64_t step = image_.Along(int(a)).inner, n = image_.size[a];
      T* v = duals_[a].now.data();
      for (int64_t k = 0; k < image_.pixels(); ++k) {
        const int64_t i = k / step % n;
        v[k] = (i > 0 ? p[k - step] : T(0)) - (i < n - 1 ? p[k] : T(0));
        warm = warm || v[k] != T(0);
      }
    }
    if (axes() != 2) return;
    if (!warm) StartHalfway(run);
    optimised_ = !warm;
    if (optimised_) SolveFirst(run, T(0));
  }

  template <typename Run>
  void Sweep(const Run& run) {
    if (optimised_) {
      SweepOptimised(run);
    } else {
      SweepAccelerated(run);
    }
  }

 private:
  template <typename Run>
  void StartHalfway(const Run& run) {
    T* v = duals_[1].now.data();
    Solve(run, 1, [&](int64_t, const LineBlock& block, T* in, T* out) {
      block.ForRows(
          [&](int64_t k, int64_t j, int64_t count) { std::copy_n(x_ + k, count, in + j); });
      ProxNext(1, block, in, out);
      block.ForRows([&](int64_t k, int64_t j, int64_t count) {
        std::copy_n(out + j, count, results_[1].data() + k);
        for (int64_t i = 0; i < count; ++i) v[k + i] = (in[j + i] - out[j + i]) / 2;
        std::copy_n(v + k, count, w_.data() + k);
      });
    });
  }

  template <typename Run>
  void SweepAccelerated(const Run& run) {
    const double t_next = NextWeight();
    const T beta = T((t_ - 1) / t_next);
    if (!solved_first_) SolveFirst(run, beta);
    solved_first_ = false;
    Totals totals;
    for (int a = 1; a < axes(); ++a) totals += SolveNext(run, a, beta);
    for (int a = 1; a < axes(); ++a) duals_[a].now.swap(duals_[a].before);
    residual_ = totals.residual;
    const bool rose = axes() > 2 && totals.energy > energy_;
    energy_ = totals.energy;
    t_ = totals.against > 0 || rose ? 1.0 : t_next;
    last_axis_ = axes() - 1;
  }

  template <typename Run>
  void SweepOptimised(const Run& run) {
    constexpr double kDamping = 0.6;
    constexpr int kMostOptimised = 200;
    const double t_next = NextWeight(), ahead = (t_ - 1) / t_next;
    const Optimised<T> step = {T(ahead), T(kDamping * t_ / t_next), T(kDamping * ahead / gamma_)};
    growth_ = 1 + kDamping * (t_ / t_next + ahead / gamma_ * growth_);
    const Totals totals = SolveOptimised(run, step);
    duals_[1].now.swap(duals_[1].before);
    SolveFirst(run, T(0));
    residual_ = totals.residual;
    gamma_ = (2 * t_ + t_next - 1) / t_next;
    t_ = t_next;
    last_axis_ = 0;
    optimised_ = totals.against <= 0 && ++optimised_sweeps_ < kMostOptimised;
    if (!optimised_) {
      solved_first_ = true;
      t_ = 1;
    }
  }

  double NextWeight() const { return (1 + std::sqrt(1 + 4 * t_ * t_)) / 2; }

  struct Dual {
    Buffer<T> now, before;
  };

  struct Totals {
    double against = 0, residual = 0, energy = 0;

    void operator+=(const Totals& other) {
      against += other.against;
      residual += other.residual;
      energy = other.energy;  // only that after the last axis is of use
    }
  };

  template <typename Run, typename Body>
  void Solve(const Run& run, int axis, const Body& body) {
    const LineBlocks& blocks = blocks_[axis];
    run(blocks.count(), [&](int64_t begin, int64_t end) {
      const int64_t samples = blocks[0].samples();
      Buffer<T> buffer(2 * samples);
      for (int64_t b = begin; b < end; ++b) {
        body(b, blocks[b], buffer.data(), buffer.data() + samples);
      }
    });
    has_result_[axis] = true;
  }

  // The prox of a block along an axis. The lines have moved little since they were last solved.
  void ProxNext(int axis, const LineBlock& block, const T* in, T* out) const {
    if (has_result_[axis]) {
      block.ForRows([&](int64_t k, int64_t j, int64_t count) {
        std::copy_n(results_[axis].data() + k, count, out + j);
      });
    }
    ProxBlock(block, weights_[axis], in, out, has_result_[axis]);
  }

  template <typename Run>
  void SolveFirst(const Run& run, T beta) {
    T* result = results_[0].data();
    Solve(run, 0, [&](int64_t, const LineBlock& block, T* in, T* out) {
      block.ForRows([&](int64_t k, int64_t j, int64_t count) {
        if (axes() == 1) std::copy_n(x_ + k, count, in + j);
        for (int a = 1; a < axes(); ++a) {
          pixels_.extrapolate(count, a == 1 ? x_ + k : in + j, T(-1), duals_[a].now.data() + k,
                              duals_[a].before.data() + k, beta, in + j);
        }
      });
      ProxNext(0, block, in, out);
      block.ForRows(
          [&](int64_t k, int64_t j, int64_t count) { std::copy_n(out + j, count, result + k); });
    });
  }

  template <typename Run>
  Totals SolveOptimised(const Run& run, const Optimised<T>& step) {
    const T *first = results_[0].data(), *now = duals_[1].now.data();
    T *result = results_[1].data(), *next = duals_[1].before.data(), *w = w_.data();
    std::vector<Totals> partial(blocks_[1].count());
    Solve(run, 1, [&](int64_t b, const LineBlock& block, T* in, T* out) {
      block.ForRows([&](int64_t k, int64_t j, int64_t count) {
        pixels_.optimise(count, step, first + k, now + k, result + k, w + k, in + j);
      });
      ProxNext(1, block, in, out);
      StepSums sums;
      block.ForRows([&](int64_t k, int64_t j, int64_t count) {
        pixels_.step(count, in + j, out + j, first + k, now + k, T(1 / growth_), next + k,
                     result + k, &sums);
      });
      partial[b] = {sums.against.Total(), sums.residual.Total(), 0};
    });
    return Sum(partial);
  }

  template <typename Run>
  Totals SolveNext(const Run& run, int axis, T beta) {
    const T *previous = results_[axis - 1].data(), *now = duals_[axis].now.data();
    T *result = results_[axis].data(), *before = duals_[axis].before.data();
    std::vector<Totals> partial(blocks_[axis].count());
    Solve(run, axis, [&](int64_t b, const LineBlock& block, T* in, T* out) {
      block.ForRows([&](int64_t k, int64_t j, int64_t count) {
        pixels_.extrapolate(count, previous + k, T(1), now + k, before + k, beta, in + j);
      });
      ProxNext(axis, block, in, out);
      StepSums sums;
      block.ForRows([&](int64_t k, int64_t j, int64_t count) {
        pixels_.step(count, in + j, out + j, previous + k, now + k, T(1), before + k, result + k,
                     &sums);
      });
      partial[b] = {sums.against.Total(), sums.residual.Total(), sums.energy.Total()};
    });
    return Sum(partial);
  }

  static Totals Sum(const std::vector<Totals>& partial) {
    Totals totals;
    for (const Totals& p : partial) {
      totals.against += p.against;
      totals.residual += p.residual;
      totals.energy += p.energy;
    }
    return totals;
  }

  const Image& image_;
  const std::vector<AxisWeights<T>>& weights_;
  const T* x_;
  const PixelKernels<T>& pixels_ = Pixels<T>();
  std::vector<LineBlocks> blocks_;
  std::vector<Buffer<T>> results_;
  std::vector<bool> has_result_;  // along each axis, whether its lines were solved before
  std::vector<Dual> duals_;
  Buffer<T> w_;  // w of the optimised sweep before
  bool optimised_ = false, solved_first_ = false;
  int optimised_sweeps_ = 0;
  int last_axis_ = 0;
  double t_ = 1, gamma_ = 1, growth_ = 1, residual_ = 0, energy_ = INFINITY;
};

}  // namespace jaxtv
