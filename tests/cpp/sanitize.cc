// SPDX-License-Identifier: MIT
// Runs the line algorithms and the thread sharing on adverse inputs; built with sanitizers by
// tests/test_sanitizers.py. Every array is its own exact allocation, so that any step beyond it
// shows.
#include <cstdio>
#include <functional>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "core/tv1d.h"
#include "core/tv1d_mass.h"
#include "core/tv1d_newton.h"
#include "cpu/threads/parallel_for.h"
#include "tests/cpp/pool.h"

namespace {

using jaxtv::Line;
using jaxtv::Lines;

template <typename T>
std::vector<T> Signal(int kind, int64_t n, std::mt19937& random) {
  std::normal_distribution<double> normal;
  std::vector<T> x(n);
  double walk = 0;
  for (int64_t k = 0; k < n; ++k) {
    walk += normal(random);
    const double values[] = {normal(random),         walk,
                             double(k) / 7,          k % 2 ? 1.0 : -1.0,
                             double(k / 5 % 3),      1e30 * normal(random),
                             1e-30 * normal(random), 0.0};
    x[k] = T(values[kind]);
  }
  if (n > 3 && kind == 7) x[3] = std::numeric_limits<T>::quiet_NaN();
  return x;
}
constexpr int kKinds = 8;

// The prox keeps the mean, unless the line is NaN.
template <typename T>
int CheckMean(const std::vector<T>& x, const std::vector<T>& y) {
  long double before = 0, after = 0, scale = 0;
  for (size_t k = 0; k < x.size(); ++k) {
    before += x[k];
    after += y[k];
    scale += std::abs(x[k]) + std::abs(y[k]);
  }
  const long double slack = 2 * std::numeric_limits<T>::epsilon() * scale;
  return before != before ? int(after == after) : int(!(std::abs(before - after) <= slack));
}

template <typename T>
int CheckNewton(const std::vector<T>& x, const std::vector<T>& lam, int64_t stride) {
  const int64_t n = int64_t(x.size());
  std::vector<double> u(n - 1), jump(n - 1), d(n - 1), place(n - 1);
  const jaxtv::NewtonScratch scratch{
      {u.data(), 1}, {jump.data(), 1}, {d.data(), 1}, {place.data(), 1}};
  int wrong = 0;
  for (int64_t max_steps : {0, 2, 100}) {
    std::vector<T> y(n);
    const int64_t steps = jaxtv::NewtonLine<T>({x.data(), 1}, {lam.data(), stride}, n, max_steps,
                                               scratch, {y.data(), 1});
    wrong += CheckMean(x, y) + int(steps < 0 || steps > max_steps);
  }
  return wrong;
}

// With masses that are whole, of which some are 0: the sum of m y is that of m x.
template <typename T>
int CheckMass(const std::vector<T>& x, const std::vector<T>& lam, int64_t stride) {
  const int64_t n = int64_t(x.size());
  std::vector<T> y(n), mass(n), before(n), after(n);
  for (int64_t k = 0; k < n; ++k) mass[k] = T(k * 7 % 4);
  std::vector<double> scratch(jaxtv::kMassDoubles * n);
  jaxtv::ProxMassLine<T>({x.data(), 1}, {lam.data(), stride}, {mass.data(), 1}, n, {y.data(), 1},
                         {scratch.data(), n, 1});
  for (int64_t k = 0; k < n; ++k) {
    before[k] = mass[k] > T(0) ? mass[k] * x[k] : T(0);
    after[k] = mass[k] * y[k];
  }
  return CheckMean(before, after);
}

template <typename T>
int CheckLine(const std::vector<T>& x, const std::vector<T>& lam, int64_t stride) {
  const int64_t n = int64_t(x.size());
  std::vector<T> y(n), mean(n);
  jaxtv::ProxLine<T>({x.data(), 1}, {lam.data(), stride}, n, {y.data(), 1});
  jaxtv::RunMeanLine<T>({y.data(), 1}, {x.data(), 1}, n, {mean.data(), 1});
  return CheckMean(x, y) + CheckNewton(x, lam, stride) + CheckMass(x, lam, stride);
}

template <typename T>
int CheckLines() {
  std::mt19937 random(1);
  int wrong = 0;
  for (int64_t n : {1, 2, 3, 5, 17, 64, 257, 4000}) {
    for (int kind = 0; kind < kKinds; ++kind) {
      const std::vector<T> x = Signal<T>(kind, n, random);
      for (double lam : {0.0, 0.3, 20.0, 1e5, double(std::numeric_limits<T>::infinity())}) {
        wrong += CheckLine<T>(x, {T(lam)}, 0);
      }
      std::vector<T> edges = Signal<T>(0, n - 1, random);
      for (T& w : edges) w = std::abs(w);
      wrong += CheckLine<T>(x, edges, 1);
    }
  }
  return wrong;
}

int CheckSharing() {
  std::mt19937 random(2);
  const Lines lines{5, 33, 7};
  const std::vector<float> x = Signal<float>(1, 5 * 33 * 7, random);
  const std::vector<float> lam = {0.7f};
  const auto solve = [&](int64_t threads, int64_t grain) {
    std::vector<float> y(x.size());
    Pool pool(threads);
    jaxtv::ParallelFor(pool, lines.count(), grain, [&](int64_t begin, int64_t end) {
      for (int64_t l = begin; l < end; ++l) {
        jaxtv::ProxLine<float>(lines.At(x.data(), l), {lam.data(), 0}, 33, lines.At(y.data(), l));
      }
    });
    return y;
  };
  const std::vector<float> expected = solve(1, 1000);
  int wrong = 0;
  for (int64_t threads : {2, 3, 8}) {
    for (int64_t grain : {1, 4, 1000}) wrong += solve(threads, grain) != expected;
  }
  return wrong;
}

// Tasks run when they are scheduled, or too late to find anything left.
struct Recorder {
  bool late;
  std::vector<std::function<void()>> tasks = {};

  int num_threads() const { return 2; }
  void Schedule(std::function<void()>&& task) {
    tasks.push_back(std::move(task));
    if (!late) tasks.back()();
  }
};

// One more thread is woken only where none has begun when the caller has done a block.
int CheckWaking() {
  int wrong = 0;
  for (bool late : {false, true}) {
    Recorder pool{late};
    int64_t items = 0;
    jaxtv::ParallelFor(pool, 12, 3, [&](int64_t begin, int64_t end) { items += end - begin; });
    wrong += items != 12 || pool.tasks.size() != (late ? 2 : 1);
    for (const auto& task : pool.tasks) task();
    wrong += items != 12;
  }
  return wrong;
}

}  // namespace

int main() {
  const int wrong = CheckLines<float>() + CheckLines<double>() + CheckSharing() + CheckWaking();
  std::printf("%d wrong\n", wrong);
  return wrong != 0;
}
