// SPDX-License-Identifier: MIT
// Runs the solver of images on adverse inputs, alone and shared over threads; built with sanitizers
// by tests/test_sanitizers.py, with the kernels of no particular instruction set.
#define JAXTV_ISA portable
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "cpu/images/pixel_kernels.cc"
#include "cpu/images/scaling.h"
#include "cpu/lines/prox_lines.cc"
#include "cpu/threads/parallel_for.h"
#include "tests/cpp/pool.h"

namespace {

using jaxtv::AxisWeights;
using jaxtv::Image;

template <typename T>
struct Solved {
  std::vector<T> y;
  std::vector<std::vector<T>> duals;
  double bound;
  int32_t sweeps;

  bool operator==(const Solved& other) const {
    return y == other.y && duals == other.duals && bound == other.bound && sweeps == other.sweeps;
  }
};

constexpr int kKinds = 5;

template <typename T>
std::vector<T> Pixels(int kind, int64_t n, std::mt19937& random) {
  std::normal_distribution<double> normal;
  std::vector<T> x(n);
  for (T& v : x) {
    const double value = normal(random);
    const double values[] = {value, std::round(value), 0.0,
                             value * (double(std::numeric_limits<T>::max()) / 8), value};
    v = T(values[kind]);
  }
  if (kind == 4) x[n / 2] = std::numeric_limits<T>::infinity();
  return x;
}

// `edges`: a weight for each edge, some of them 0; else one for all.
template <typename T>
Solved<T> Solve(const Image& image, const std::vector<T>& x, double lam, bool edges, bool warm,
                int64_t threads) {
  Solved<T> solved;
  solved.y.resize(x.size());
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  if (warm) {
    solved.duals.assign(image.axes(), std::vector<T>(x.size()));
    for (auto& p : solved.duals) {
      for (T& v : p) v = T(normal(random));
    }
  }
  jaxtv::Request<T> request{1e-4, 60, x.data(), solved.y.data(), {}};
  for (auto& p : solved.duals) request.duals.push_back(p.data());
  const auto weigh = [&](T factor, T cap, std::vector<std::vector<T>>* values,
                         std::vector<AxisWeights<T>>* weights) {
    values->resize(image.axes());
    for (int a = 0; a < image.axes(); ++a) {
      (*values)[a].assign(edges ? x.size() : 1, std::min(T(lam) * factor, cap));
      for (size_t k = 0; edges && k < x.size(); k += 3) (*values)[a][k] = T(0);
      weights->push_back({(*values)[a].data(), edges});
    }
    return true;
  };
  Pool pool(threads);
  const auto run = [&](int64_t items, const auto& body) {
    jaxtv::ParallelFor(pool, items, 1, body);
  };
  const jaxtv::Outcome outcome = jaxtv::ProxImage(run, image, weigh, request);
  solved.bound = outcome.certificate.bound;
  solved.sweeps = outcome.sweeps;
  return solved;
}

template <typename T>
int Check(const Image& image, int kinds) {
  std::mt19937 random(1);
  int wrong = 0;
  for (int kind = 0; kind < kinds; ++kind) {
    const std::vector<T> x = Pixels<T>(kind, image.pixels(), random);
    for (int form = 0; form < 4; ++form) {
      const auto solve = [&](int64_t threads) {
        return Solve(image, x, 0.5, form & 1, form & 2, threads);
      };
      const Solved<T> alone = solve(1);
      if (kind == 4) {
        wrong += alone.y[0] == alone.y[0];
      } else {
        wrong += !(alone.bound >= 0) || !(alone == solve(3));
      }
    }
  }
  return wrong;
}

}  // namespace

int main() {
  int wrong = 0;
  for (const Image& image : {Image{{1}}, Image{{17}}, Image{{1, 9}}, Image{{9, 1}}, Image{{20, 33}},
                             Image{{3, 5, 4}}, Image{{2, 3, 2, 4}}}) {
    wrong += Check<float>(image, kKinds) + Check<double>(image, kKinds);
  }
  wrong += Check<float>(Image{{160, 130}}, 1);  // enough for several blocks and stripes
  std::printf("%d wrong\n", wrong);
  return wrong != 0;
}
