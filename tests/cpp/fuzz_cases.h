// SPDX-License-Identifier: MIT
// Random arrays of lines with weights: many kinds of data, weights, scales and layouts.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/line.h"
#include "tests/cpp/fuzz_random.h"

namespace fuzz {

using jaxtv::Line;
using jaxtv::Lines;
using jaxtv::WeightLayout;

// The operands of one call: of the prox of all lines, and of its derivative pulled back from v.
template <typename T>
struct Case {
  Lines lines;
  WeightLayout weights;
  std::vector<T> x, lam, v;

  int64_t edges() const { return std::max<int64_t>(lines.length - 1, 0); }
  bool per_edge() const { return weights.edge_stride != 0; }
  Line<const T> LineOfX(int64_t line) const { return lines.At(x.data(), line); }
  Line<const T> LineOfLam(int64_t line) const { return weights.At(lam.data(), line); }
};

// Weights of shape [outer or 1, edges or 1, inner or 1], as the handlers lay them out.
inline WeightLayout LayoutOf(const Lines& lines, bool outer, bool edges, bool inner) {
  const int64_t along = edges ? std::max<int64_t>(lines.length - 1, 0) : 1;
  WeightLayout layout;
  layout.rank = 2;
  layout.size[0] = lines.outer;
  layout.size[1] = lines.inner;
  layout.stride[0] = outer ? along * (inner ? lines.inner : 1) : 0;
  layout.stride[1] = inner ? 1 : 0;
  layout.edge_stride = along == 1 ? 0 : inner ? lines.inner : 1;
  return layout;
}

template <typename T>
T Finite(double value) {
  const double most = double(std::numeric_limits<T>::max());
  return T(std::clamp(value, -most, most));
}

// Sizes of the data: mostly about 1, at times far from it, subnormal or near the largest number.
template <typename T>
double RandomScale(Random& random) {
  using Limits = std::numeric_limits<T>;
  const int64_t kind = random.Below(100);
  if (kind < 76) return 1;
  if (kind < 86) return random.Decade(-4, 4);
  const double octaves = Limits::max_exponent;
  if (kind < 92) return random.Octave(-octaves / 2, octaves / 2);
  if (kind < 96) return double(Limits::denorm_min()) * random.Octave(0, Limits::digits + 8);
  return double(Limits::max()) * random.Octave(-40, 0);
}

// The samples of one line, of size one.
inline void FillShape(Random& random, std::vector<double>& x) {
  const int64_t n = int64_t(x.size()), kind = random.Below(14);
  const double rate = random.Between(-1, 1), step = 1 + random.Below(9);
  const double ratio = 1 + random.Decade(-3, 0.5), half = random.Uniform() * double(n);
  double walk = 0, power = 1, held = 0;
  for (int64_t k = 0; k < n; ++k) {
    const double noise = random.Normal();
    walk += noise;
    power = std::min(power * ratio, 1e30);
    if (k % int64_t(step) == 0) held = std::round(2 * noise);
    switch (kind) {
      case 0:
      case 1:
        x[k] = noise;
        break;
      case 2:
      case 3:
        x[k] = walk;
        break;
      case 4:
        x[k] = rate * double(k);
        break;
      case 5:
        x[k] = rate * double(k) + 0.01 * noise;
        break;
      case 6:
      case 7:
        x[k] = held;
        break;  // plateaus, with ties
      case 8:
        x[k] = rate < 0 ? power : 1 / power;
        break;
      case 9:
        x[k] = double(k < half) * power + double(k >= half) * double(k);
        break;
      case 10:
        x[k] = std::fmod(double(k), step + 1) + 0.1 * rate * noise;
        break;  // sawtooth
      case 11:
        x[k] = noise * random.Decade(-9, 3);
        break;  // mixed magnitudes
      case 12:
        x[k] = double(random.Below(7)) - 3;
        break;
      default:
        x[k] = k % 2 ? rate : -rate;
        break;
    }
  }
  if (random.Chance(0.03)) std::fill(x.begin(), x.end(), rate);
  if (random.Chance(0.3)) std::reverse(x.begin(), x.end());
}

// Weights of one size, but for the last kinds: zero, tiny and huge ones side by side.
inline double RandomWeight(Random& random, int64_t kind, double size) {
  const double infinity = std::numeric_limits<double>::infinity();
  switch (kind) {
    case 0:
      return 0;
    case 1:
      return infinity;
    case 2:
      return double(1 + random.Below(3));  // with ties
    case 3:
    case 4:
      return size * random.Uniform();
    case 5:
      return -size * std::log1p(-random.Uniform());
    case 11:
      return random.Chance(0.3) ? 0 : size;
    case 12:
      return random.Chance(0.5) ? infinity : 0.01 * size;
    case 13:
      return random.Chance(0.1) ? infinity : size * random.Uniform();
    case 14:
      return size * random.Decade(-9, 9);
    case 15:
      return random.Chance(0.5) ? 1e12 * size : 1e-6 * size;
    default:
      return size;
  }
}

// The weights of the edges of one line, of size one; one weight if it has one.
inline void FillWeights(Random& random, int64_t n, std::vector<double>& w) {
  const int64_t kind = random.Below(16);
  double size = random.Decade(-2, 1.5);
  if (random.Chance(0.2)) size *= std::sqrt(double(n));
  if (random.Chance(0.1)) size *= random.Octave(0, 60);
  for (double& value : w) value = RandomWeight(random, kind, size);
}

inline int64_t RandomLength(Random& random) {
  const int64_t kind = random.Below(4000);
  if (kind < 200) return random.Below(4);
  if (kind < 2600) return 2 + random.Below(30);
  if (kind < 3600) return 2 + random.Below(150);
  if (kind < 3940) return 2 + random.Below(1500);
  if (kind < 3965) return 2 + random.Below(8191);
  return 8193 + random.Below(random.Chance(0.7) ? 9000 : 60000);  // cut into chunks
}

inline Lines RandomLines(Random& random) {
  const int64_t n = RandomLength(random);
  const int64_t most = std::clamp<int64_t>(4000 / (n + 1), 2, 90);
  const int64_t count = 1 + random.Below(random.Chance(0.2) ? 6 : most);
  const int64_t inner = std::vector<int64_t>{1, 1, 2, 3, 8, 17, count}[size_t(random.Below(7))];
  return {(count + inner - 1) / inner, n, inner};
}

// Spoils a sample or weight here and there.
template <typename T>
void Spoil(Random& random, const Lines& lines, Case<T>& c) {
  using Limits = std::numeric_limits<T>;
  const T bad[] = {Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()};
  for (int64_t l = 0; l < lines.count() && lines.length > 0; ++l) {
    if (!random.Chance(0.02)) continue;
    lines.At(c.x.data(), l)[random.Below(lines.length)] = bad[random.Below(3)];
  }
  if (c.lam.empty() || !random.Chance(0.03)) return;
  c.lam[size_t(random.Below(int64_t(c.lam.size())))] = random.Chance(0.5) ? T(-1) : bad[0];
}

template <typename T>
Case<T> RandomCase(Random& random) {
  Case<T> c;
  c.lines = RandomLines(random);
  const Lines& lines = c.lines;
  const double scale = RandomScale<T>(random);
  const bool at_zero = random.Chance(0.85);
  const double offset = at_zero ? 0 : random.Normal() * random.Decade(0, 7);

  std::vector<double> line(size_t(lines.length));
  c.x.resize(size_t(lines.count() * lines.length));
  c.v.resize(c.x.size());
  for (int64_t l = 0; l < lines.count(); ++l) {
    FillShape(random, line);
    const Line<T> x = lines.At(c.x.data(), l);
    for (int64_t k = 0; k < lines.length; ++k) {
      x[k] = Finite<T>((line[size_t(k)] + offset) * scale);
    }
  }
  for (T& value : c.v) value = T(random.Normal());

  const bool outer = random.Chance(0.3), edges = random.Chance(0.5), inner = random.Chance(0.3);
  c.weights = LayoutOf(lines, outer, edges, inner);
  const int64_t along = edges ? c.edges() : 1, columns = inner ? lines.inner : 1;
  const int64_t rows = outer ? lines.outer : 1;
  std::vector<double> weights(static_cast<size_t>(along));
  c.lam.resize(size_t(rows * along * columns));
  for (int64_t r = 0; r < rows * columns; ++r) {
    FillWeights(random, lines.length, weights);
    T* const first = c.lam.data() + r / columns * along * columns + r % columns;
    for (int64_t k = 0; k < along; ++k) first[k * columns] = T(weights[size_t(k)] * scale);
  }
  Spoil(random, lines, c);
  return c;
}

}  // namespace fuzz
