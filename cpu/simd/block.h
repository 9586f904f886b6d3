// SPDX-License-Identifier: MIT
// Blocks of 64 bytes, of as many vectors as that takes, whose elements are consecutive samples. So
// results do not depend on the length of vectors.
#pragma once

#include "cpu/simd/vectors.h"

namespace jaxtv {
namespace JAXTV_ISA {

template <typename T>
constexpr int kBlock = 64 / int(sizeof(T));

template <typename T>
struct Block {
  static constexpr int kParts = kBlock<T> / kLanes<T>;
  Vec<T> part[kParts];

  T operator[](int k) const { return part[k / kLanes<T>][k % kLanes<T>]; }
};

// The elements from `kFrom` on of `a` with `b` behind it.
template <int kFrom, typename T, size_t... L>
inline Vec<T> Slice(Vec<T> a, Vec<T> b, std::index_sequence<L...>) {
  return __builtin_shufflevector(a, b, (int(L) + kFrom)...);
}

// Adds to each element the one `kBy` before it.
template <int kBy, typename T>
inline void AddShifted(Block<T>* block) {
  constexpr int kWhole = kBy / kLanes<T>, kFrom = kLanes<T> - kBy % kLanes<T>;
  for (int i = Block<T>::kParts - 1; i >= kWhole; --i) {
    const Vec<T> before = i > kWhole ? block->part[i - kWhole - 1] : Vec<T>{};
    block->part[i] +=
        Slice<kFrom, T>(before, block->part[i - kWhole], std::make_index_sequence<kLanes<T>>());
  }
}

// Replaces each element by the sum of all up to it.
template <typename T, int kBy = 1>
inline void Accumulate(Block<T>* block) {
  if constexpr (kBy < kBlock<T>) {
    AddShifted<kBy>(block);
    Accumulate<T, 2 * kBy>(block);
  }
}

// The least element.
template <typename T, int kBy = kLanes<T> / 2>
inline T Least(Vec<T> v) {
  if constexpr (kBy == 0) {
    return v[0];
  } else {
    return Least<T, kBy / 2>(Min<T>(v, Slice<kBy, T>(v, v, std::make_index_sequence<kLanes<T>>())));
  }
}

template <typename T>
inline T Least(const Block<T>& block) {
  Vec<T> v = block.part[0];
  for (int i = 1; i < Block<T>::kParts; ++i) v = Min<T>(v, block.part[i]);
  return Least<T>(v);
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
