// SPDX-License-Identifier: MIT
// The weights of images, from FFI buffers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/image.h"
#include "ffi/images.h"

namespace jaxtv {

// An operand with an element for each edge along an axis, or fewer that broadcast.
template <typename T>
struct EdgeOperand {
  const T* data;
  Strides strides;
};

template <typename T>
struct ImageWeights {
  const Images& images;
  std::vector<EdgeOperand<T>> lams;  // one per axis

  // The weights of image `i` times `factor`, cut at `cap`, in memory that `values` owns. False if
  // one is negative or NaN.
  bool Read(int64_t i, T factor, T cap, std::vector<std::vector<T>>* values,
            std::vector<AxisWeights<T>>* weights) const {
    values->resize(lams.size());
    for (size_t a = 0; a < lams.size(); ++a) {
      std::vector<T>& along = (*values)[a];
      weights->push_back(ReadAlong(int(a), i, factor, cap, &along));
      if (!std::all_of(along.begin(), along.end(), [](T w) { return w >= T(0); })) return false;
    }
    return true;
  }

 private:
  AxisWeights<T> ReadAlong(int axis, int64_t i, T factor, T cap, std::vector<T>* values) const {
    const Image& image = images.image;
    const Strides& strides = lams[axis].strides;
    const T* lam = lams[axis].data + images.Offset(strides, i);
    bool same = true;
    for (int a = 0; a < image.axes(); ++a) {
      same = same && (strides.image[a] == 0 || image.size[a] == 1);
    }
    const int64_t n = image.size[axis], step = image.Along(axis).inner;
    if (same || n == 1) {
      values->assign(1, n == 1 ? T(0) : std::min(*lam * factor, cap));
      return {values->data(), 0};
    }
    values->assign(image.pixels(), T(0));
    images.ForPixels(strides, [&](int64_t k, int64_t offset) {
      if (k / step % n != n - 1) (*values)[k] = std::min(lam[offset] * factor, cap);
    });
    return {values->data(), 1};
  }
};

// Operands begin..begin+axes of `args` as edge operands.
template <typename T>
std::vector<EdgeOperand<T>> EdgeOperands(const ffi::RemainingArgs& args, size_t begin,
                                         const std::vector<Strides>& strides) {
  std::vector<EdgeOperand<T>> operands;
  for (size_t a = 0; a < strides.size(); ++a) {
    operands.push_back(
        {static_cast<const T*>(args.get<ffi::AnyBuffer>(begin + a)->untyped_data()), strides[a]});
  }
  return operands;
}

}  // namespace jaxtv
