// SPDX-License-Identifier: MIT
// A bound in double as a number of another type.
#pragma once

#include <cmath>
#include <limits>

namespace jaxtv {

// The least T that is not below a value.
template <typename T>
inline T RoundUp(double value) {
  const T rounded = T(value);
  return double(rounded) < value ? std::nextafter(rounded, std::numeric_limits<T>::infinity())
                                 : rounded;
}

}  // namespace jaxtv
