// SPDX-License-Identifier: MIT
// Runs the solver of coupled images on shapes, weights and groups of every kind, alone and shared
// over threads; built with sanitizers by tests/test_sanitizers.py, with the kernels of no
// particular instruction set.
#define JAXTV_ISA portable
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "cpu/isotropic/fused_kernels.cc"
#include "cpu/isotropic/interior_kernels.cc"
#include "cpu/isotropic/linear_image.h"
#include "cpu/isotropic/profile_kernels.cc"
#include "cpu/isotropic/prox_image.h"
#include "cpu/isotropic/row_kernels.cc"
#include "cpu/isotropic/test_kernels.cc"
#include "cpu/threads/parallel_for.h"
#include "tests/cpp/pool.h"

namespace {

using jaxtv::Grid;
using jaxtv::ImageOperand;

struct SharedRun {
  Pool& pool;
  bool shared() const { return pool.num_threads() > 1; }
  template <typename Body>
  void operator()(int64_t items, const Body& body) const {
    jaxtv::ParallelFor(pool, items, 1, body);
  }
};

// An operand of an image: one number, or one for each pixel of one or all channels.
template <typename T>
ImageOperand<T> Operand(const Grid& grid, const std::vector<T>& values, bool each, bool channels) {
  std::vector<int64_t> stride(size_t(grid.axes()) + 1, 0);
  if (each) {
    int64_t step = 1;
    for (int a = grid.axes(); a-- > 0; step *= grid.size[size_t(a)]) stride[size_t(a) + 1] = step;
    stride[0] = channels ? step : 0;
  }
  return {values.data(), stride};
}

template <typename T>
std::vector<T> Solve(const Grid& grid, bool isotropic, bool each, int threads, int64_t limit) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  const size_t size = size_t(grid.pixels() * grid.channels);
  std::vector<T> x(size), lam(size), m(size), init(size), y(size);
  for (size_t i = 0; i < size; ++i) {
    x[i] = T(normal(random));
    lam[i] = T(0.1 + 0.1 * double(i % 3));
    m[i] = each && i % 4 == 0 ? T(0) : T(1);
    init[i] = T(normal(random));
  }
  std::vector<std::vector<T>> duals(size_t(grid.axes()), std::vector<T>(size));
  std::vector<T*> to;
  for (auto& p : duals) to.push_back(p.data());
  const std::vector<ImageOperand<T>> lams(duals.size(), Operand(grid, lam, each, false));
  const std::vector<ImageOperand<T>> starts(duals.size(), Operand(grid, init, each, true));
  const jaxtv::SharedOrder order(grid.rows, grid.length());
  const jaxtv::ProxImage<T> image{grid, order,  isotropic, x.data(), Operand(grid, m, each, true),
                                  lams, starts, T(0),      limit,    y.data(),
                                  to};
  Pool pool(threads);
  image.Solve(SharedRun{pool});
  for (const auto& p : duals) y.insert(y.end(), p.begin(), p.end());
  return y;
}

// The linear problem, where every third group is inactive.
template <typename T>
std::vector<T> SolveLinear(const Grid& grid, bool isotropic, bool each, int threads,
                           int64_t limit) {
  const size_t size = size_t(grid.pixels() * grid.channels);
  std::vector<T> source(size), lam(size), m(size), lengths(size), directions(size), z(size);
  for (size_t i = 0; i < size; ++i) {
    source[i] = T(std::sin(double(i)));
    lam[i] = T(0.1 + 0.1 * double(i % 3));
    m[i] = each && i % 4 == 0 ? T(0) : T(1);
    lengths[i] = T(i % 3);
    directions[i] = lengths[i] > T(0) ? T(0.5) : T(0);
  }
  const size_t axes = size_t(grid.axes());
  const std::vector<ImageOperand<T>> lams(axes, Operand(grid, lam, each, false));
  const jaxtv::Linear<T> linear{{axes, Operand(grid, lengths, true, false)},
                                {axes, Operand(grid, directions, true, true)}};
  const jaxtv::SharedOrder order(grid.rows, grid.length());
  const jaxtv::LinearImage<T> image{
      grid, order,  isotropic, source.data(), Operand(grid, m, each, true),
      lams, linear, T(0),      limit,         z.data()};
  Pool pool(threads);
  image.Solve(SharedRun{pool});
  return z;
}

template <typename T>
bool SameOnThreads() {
  const std::vector<std::vector<int64_t>> sizes = {{1},    {5},     {1, 1},    {7, 1},
                                                   {1, 9}, {6, 17}, {3, 4, 5}, {2, 1, 3, 2}};
  bool same = true;
  for (const auto& size : sizes) {
    for (int kind = 0; kind < 16; ++kind) {
      const Grid grid(size, kind & 1 ? 3 : 1, kind & 2);
      // Also by the methods that factor a matrix.
      Solve<T>(grid, kind & 4, kind & 8, 1, 400);
      SolveLinear<T>(grid, kind & 4, kind & 8, 1, 400);
    }
  }
  for (int kind = 0; kind < 4; ++kind) {
    const Grid grid({190, 181}, kind & 1 ? 2 : 1, false);
    for (const auto solve : {Solve<T>, SolveLinear<T>}) {
      same = same && solve(grid, true, kind & 2, 3, 20) == solve(grid, true, kind & 2, 1, 20);
    }
  }
  return same;
}

}  // namespace

int main() {
  const bool same = SameOnThreads<float>();  // of the other type the code is the same
  if (!same) std::printf("threads change the result\n");
  return same ? 0 : 1;
}
