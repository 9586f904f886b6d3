// SPDX-License-Identifier: MIT
// Random numbers that are the same on every platform: SplitMix64 (G. Steele, D. Lea, C. Flood,
// "Fast splittable pseudorandom number generators", OOPSLA 2014).
#pragma once

#include <cmath>
#include <cstdint>

namespace fuzz {

class Random {
 public:
  Random(uint64_t seed, uint64_t stream) : state_(seed * 0x9e3779b97f4a7c15u) {
    state_ = Bits() ^ (stream * 0xd1342543de82ef95u);
  }

  uint64_t Bits() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

  // In [0, count).
  int64_t Below(int64_t count) { return int64_t(Bits() % uint64_t(count)); }

  // In [0, 1), and between two bounds.
  double Uniform() { return double(Bits() >> 11) * 0x1p-53; }
  double Between(double lo, double hi) { return lo + (hi - lo) * Uniform(); }

  bool Chance(double probability) { return Uniform() < probability; }

  // Mean 0, variance 1, nearly normal: a sum of four uniform numbers.
  double Normal() {
    return (Uniform() + Uniform() + Uniform() + Uniform() - 2) * 1.7320508075688772;
  }

  // A power of ten between two exponents, and one of two.
  double Decade(double lo, double hi) { return std::pow(10.0, Between(lo, hi)); }
  double Octave(double lo, double hi) { return std::exp2(Between(lo, hi)); }

 private:
  uint64_t state_;
};

}  // namespace fuzz
