// SPDX-License-Identifier: MIT
// The TV prox of any image: of any scale, not finite, constant, or without weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "cpu/images/solve.h"

namespace jaxtv {

// |x - mean(x)| and |x| of an image, its range, and whether every pixel is finite.
struct Scale {
  double deviation, norm, range;
  bool finite;
};

template <typename T>
Scale ScaleOf(const T* x, int64_t pixels) {
  T low, high;
  double sum;
  const bool finite = Pixels<T>().extent(pixels, x, &low, &high, &sum);
  const double mean = sum / double(pixels);
  const double square = Pixels<T>().deviation(pixels, x, mean);
  return {std::sqrt(square), std::sqrt(square + mean * mean * double(pixels)),
          double(high) - double(low), finite};
}

// A power of two by which to multiply an image so that no sum over it, nor in double a square,
// over- or underflows; nearly always 1.
template <typename T>
T UnitOf(const T* x, int64_t pixels) {
  constexpr int kMost = std::numeric_limits<T>::max_exponent;
  T low, high;
  double sum;
  if (!Pixels<T>().extent(pixels, x, &low, &high, &sum)) return T(1);
  const T largest = std::max(std::abs(low), std::abs(high));
  if (largest == T(0)) return T(1);  // has no exponent
  const int exponent = std::ilogb(largest);
  const bool safe = std::abs(exponent) < kMost * 2 / 5;
  return safe ? T(1) : std::ldexp(T(1), std::clamp(-exponent, 8 - kMost, kMost - 8));
}

// An image to solve, contiguous in memory, to which accuracy, and where the results go.
template <typename T>
struct Request {
  double tol;
  int64_t max_sweeps;
  const T* x;
  T* y;
  std::vector<T*> duals;  // feasible or not, per axis and pixel; or none
};

// Replaces duals by the nearest feasible ones, and NaN by 0.
template <typename T>
void Clip(int64_t pixels, const std::vector<AxisWeights<T>>& weights,
          const std::vector<T*>& duals) {
  for (size_t a = 0; a < duals.size(); ++a) {
    T* p = duals[a];
    for (int64_t k = 0; k < pixels; ++k) {
      const T w = weights[a][k];
      p[k] = p[k] > w ? w : p[k] < -w ? -w : p[k] == p[k] ? p[k] : T(0);
    }
  }
}

// Solves an image of moderate scale. None where the image is its own prox; then y is not written.
template <typename T, typename Run, typename Weigh>
std::optional<Outcome> SolveScaled(const Run& run, const Image& image, const Weigh& weigh,
                                   const Request<T>& request, T unit) {
  const int64_t pixels = image.pixels();
  const Scale scale = ScaleOf(request.x, pixels);
  std::vector<std::vector<T>> values;
  std::vector<AxisWeights<T>> weights;
  // The dual of an edge is a flow out of at most all pixels of at most the range each, so larger
  // (also infinite) weights change nothing.
  const T cap = T(std::min(double(pixels) * scale.range, double(std::numeric_limits<T>::max())));
  if (!scale.finite || !weigh(unit, cap, &values, &weights)) {
    std::fill(request.y, request.y + pixels, std::numeric_limits<T>::quiet_NaN());
    for (T* p : request.duals) std::fill(p, p + pixels, T(0));
    Outcome outcome;
    outcome.certificate = {std::nan(""), std::nan("")};
    return outcome;
  }
  Clip(pixels, weights, request.duals);
  bool trivial = true;
  for (const auto& along : values) {
    for (const T w : along) trivial = trivial && w == T(0);
  }
  if (trivial || scale.range == 0) return std::nullopt;
  const Goal goal{request.tol * scale.deviation,
                  double(std::numeric_limits<T>::epsilon()) * scale.norm};
  return SolveImage(run, image, weights, request.x, goal, request.max_sweeps, request.duals,
                    request.y);
}

// Solves any image, in a unit in which nothing over- or underflows.
// weigh(factor, cap, values, weights) gives the weights, times a factor and cut at a cap, in memory
// that `values` owns; it is false if one is negative or NaN.
template <typename T, typename Run, typename Weigh>
Outcome ProxImage(const Run& run, const Image& image, const Weigh& weigh, Request<T> request) {
  const int64_t pixels = image.pixels();
  const T* const given = request.x;
  const T unit = UnitOf(given, pixels);
  const auto multiply = [&](T* values, T factor) {
    for (int64_t k = 0; k < pixels; ++k) values[k] *= factor;
  };
  std::vector<T> x;
  if (unit != T(1)) {
    x.assign(given, given + pixels);
    multiply(x.data(), unit);
    for (T* p : request.duals) multiply(p, unit);
    request.x = x.data();
  }
  std::optional<Outcome> outcome = SolveScaled(run, image, weigh, request, unit);
  if (!outcome) {  // the given pixels bit for bit, since scaling may round
    std::copy(given, given + pixels, request.y);
    for (T* p : request.duals) std::fill(p, p + pixels, T(0));
    return {{0, 0}, 0, true, true};
  }
  if (unit == T(1)) return *outcome;
  multiply(request.y, 1 / unit);
  for (T* p : request.duals) multiply(p, 1 / unit);
  outcome->certificate.bound /= double(unit);
  outcome->certificate.gap = outcome->certificate.gap / double(unit) / double(unit);
  return *outcome;
}

}  // namespace jaxtv
