// SPDX-License-Identifier: MIT
// The answers of the compiled kernels to a case, and the verdict on them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/tv1d_newton.h"
#include "cpu/lines/long/prox.h"
#include "cpu/lines/long/pull_back.h"
#include "cpu/lines/prox_lines.h"
#include "cpu/lines/pull_back_lines.h"
#include "tests/cpp/fuzz_cases.h"
#include "tests/cpp/fuzz_checks.h"
#include "tests/cpp/pool.h"

namespace fuzz {

// Newton's method is for lines of this length at most, which is where its memory lies.
constexpr int64_t kNewtonLength = 300;
constexpr int64_t kNewtonSteps = 100;

template <typename T>
struct Answers {
  std::vector<T> y, near, x_bar, lam_bar, newton;
  std::vector<int32_t> steps;
  bool threads_agree = true, parts_agree = true;
};

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// A value that no kernel writes, so that a sample that none has written fails.
template <typename T>
std::vector<T> Unwritten(int64_t size) {
  return std::vector<T>(size_t(size), T(-7.25e11));
}

template <typename T>
void Prox(const Case<T>& c, int64_t begin, int64_t end, std::vector<T>& y) {
  jaxtv::ProxLines<T>(c.lines, c.weights, c.x.data(), c.lam.data(), y.data(), begin, end);
}

template <typename T>
void SolveAll(const Case<T>& c, Answers<T>& a) {
  const int64_t count = c.lines.count();
  Prox(c, 0, count, a.y);
  std::vector<T> again = Unwritten<T>(int64_t(c.x.size()));
  if (c.lines.length > jaxtv::kLongLine) {
    Pool pool(3);
    jaxtv::ProxLongLines(pool, c.lines, c.weights, c.x.data(), c.lam.data(), again.data(), 0,
                         count);
    a.threads_agree = SameBits(a.y, again);
  } else {  // the answer to a line does not depend on those beside it
    Prox(c, 0, count / 3, again);
    Prox(c, count / 3, count, again);
    a.parts_agree = SameBits(a.y, again);
  }
}

// The prox by way of a guess: the answer, another line's, the samples, or noise.
template <typename T>
void SolveNear(const Case<T>& c, Answers<T>& a) {
  const int64_t count = c.lines.count();
  a.near = a.y;
  for (int64_t l = 0; l < count; ++l) {
    const std::vector<T>* const guesses[] = {&a.y, &a.y, &c.x, &c.v};
    for (int64_t k = 0; k < c.lines.length; ++k) {
      const int64_t of = l % 4 == 1 ? count - 1 - l : l;
      c.lines.At(a.near.data(), l)[k] = c.lines.At(guesses[l % 4]->data(), of)[k];
    }
  }
  jaxtv::ProxLinesNear<T>(c.lines, c.weights, c.x.data(), c.lam.data(), a.near.data(), 0, count);
}

template <typename T>
void PullBackAll(const Case<T>& c, Answers<T>& a) {
  const jaxtv::PullBackOperands<T> p = {c.lines,    c.weights,      a.y.data(),      c.lam.data(),
                                        c.v.data(), a.x_bar.data(), a.lam_bar.data()};
  if (c.lines.length > jaxtv::kLongLine) {
    Pool pool(3);
    jaxtv::PullBackLongLines(pool, p);
  } else {
    jaxtv::PullBackLines(p, 0, c.lines.count());
  }
}

template <typename T>
void NewtonAll(const Case<T>& c, Answers<T>& a) {
  std::vector<double> memory(size_t(4 * c.edges()));
  const auto part = [&](int64_t i) { return Line<double>{memory.data() + i * c.edges(), 1}; };
  const jaxtv::NewtonScratch scratch{part(0), part(1), part(2), part(3)};
  for (int64_t l = 0; l < c.lines.count(); ++l) {
    a.steps.push_back(
        int32_t(jaxtv::NewtonLine<T>(c.LineOfX(l), c.LineOfLam(l), c.lines.length, kNewtonSteps,
                                     scratch, c.lines.At(a.newton.data(), l))));
  }
}

template <typename T>
Answers<T> AnswersTo(const Case<T>& c, bool newton) {
  Answers<T> a;
  const int64_t samples = int64_t(c.x.size()), count = c.lines.count();
  a.y = a.x_bar = Unwritten<T>(samples);
  a.lam_bar = Unwritten<T>(count * (c.per_edge() ? c.edges() : 1));
  SolveAll(c, a);
  SolveNear(c, a);
  PullBackAll(c, a);
  if (newton && c.lines.length <= kNewtonLength) {
    a.newton = Unwritten<T>(samples);
    NewtonAll(c, a);
  }
  return a;
}

// The largest errors seen of one type, in the units of fuzz_checks.h.
struct Worst {
  Real prox = 0, level = 0, near = 0, pull_back = 0, newton = 0;
};

// The errors that are conceded.
constexpr Real kProx = 8, kLevel = 1, kPullBack = 1;

// Says why a prox of a line is wrong; empty if it is right. `extra` is conceded beyond rounding.
template <typename T>
std::string ProxFault(const LineOf<T>& line, Real extra, Real* prox, Real* level) {
  bool valid = true, weighted = false, constant = true;
  for (int64_t k = 0; k < line.n; ++k) {
    valid = valid && std::isfinite(line.x[k]);
    constant = constant && line.x[k] == line.x[0];
    if (k + 1 == line.n) continue;
    valid = valid && line.lam[k] >= T(0);
    weighted = weighted || line.lam[k] > T(0);
  }
  for (int64_t k = 0; k < line.n; ++k) {
    if (!valid && line.y[k] == line.y[k]) return "a bad line is not NaN";
    if (valid && !std::isfinite(line.y[k])) return "not finite";
    if (valid && (!weighted || constant) && !SameBits(T(line.y[k]), T(line.x[k]))) {
      return "not x bit by bit";
    }
  }
  if (!valid || line.n == 0) return "";
  *prox = Error(line, extra / kProx, *prox);
  if (*prox > kProx) return "not the prox, off by units: " + std::to_string(*prox);
  const Real off = LevelError(line, extra / kLevel);
  *level = std::max(*level, off);
  if (off > kLevel) return "level of a run, off by units: " + std::to_string(off);
  return "";
}

// Newton's method stops where the error, in the root mean square, is below 1e-12 of the range. Four
// times that in the largest error of a sample.
template <typename T>
Real NewtonError(const LineOf<T>& line) {
  return line.n == 0 ? 0 : Real(4e-12) * std::sqrt(Real(line.n)) * SizeOf(line).range;
}

template <typename T>
std::string Fault(const Case<T>& c, const Answers<T>& a, int64_t l, Worst* worst) {
  const int64_t n = c.lines.length;
  if (!a.threads_agree) return "other bits on other threads";
  if (!a.parts_agree) return "other bits beside other lines";
  const LineOf<T> line{c.LineOfX(l), c.LineOfLam(l), c.lines.At(a.y.data(), l), n};
  if (auto fault = ProxFault(line, 0, &worst->prox, &worst->level); !fault.empty()) return fault;
  const LineOf<T> near{line.x, line.lam, c.lines.At(a.near.data(), l), n};
  Real level = 0;
  if (auto fault = ProxFault(near, 0, &worst->near, &level); !fault.empty()) {
    return "from a guess: " + fault;
  }
  if (n > 0 && line.y[0] == line.y[0]) {
    const Lines sums{c.lines.outer, c.per_edge() ? c.edges() : 1, c.lines.inner};
    const PulledBack<T> pulled{c.lines.At(c.v.data(), l), c.lines.At(a.x_bar.data(), l),
                               sums.At(a.lam_bar.data(), l), c.per_edge()};
    const Real off = PullBackError(line, pulled);
    worst->pull_back = std::max(worst->pull_back, off);
    if (off > kPullBack) return "pulled back, off by units: " + std::to_string(off);
  }
  if (a.newton.empty()) return "";
  const LineOf<T> newton{line.x, line.lam, c.lines.At(a.newton.data(), l), n};
  if (a.steps[size_t(l)] < 0 || a.steps[size_t(l)] > kNewtonSteps) return "Newton: steps";
  const auto fault = ProxFault(newton, NewtonError(line), &worst->newton, &level);
  return fault.empty() ? "" : "Newton: " + fault;
}

// A digest of the bits of numbers, on top of one before.
template <typename T>
uint64_t Digest(uint64_t before, const std::vector<T>& values) {
  for (const T& value : values) {
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof(T));
    before = (before ^ bits) * 0x9fb21c651e98df25u;
    before ^= before >> 29;
  }
  return before;
}

template <typename T>
uint64_t Digest(uint64_t before, const Answers<T>& a) {
  for (const auto* part : {&a.y, &a.near, &a.x_bar, &a.lam_bar, &a.newton}) {
    before = Digest(before, *part);
  }
  return before;
}

}  // namespace fuzz
