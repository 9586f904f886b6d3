// SPDX-License-Identifier: MIT
//
// Barriers, fences, shuffles, votes and warp reductions.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_SYNCHRONISATION_H_
#define JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_SYNCHRONISATION_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "jaxtv_emulator/calls.h"

#define JAXTV_SITE ::jaxtv::emulator::Site site = ::jaxtv::emulator::Site::Here()

inline void __syncthreads(JAXTV_SITE) {
  jaxtv::emulator::BlockBarrier(jaxtv::emulator::Barrier::kPlain, 0, site);
}
inline int __syncthreads_count(int predicate, JAXTV_SITE) {
  return jaxtv::emulator::BlockBarrier(jaxtv::emulator::Barrier::kCount, predicate, site);
}
inline int __syncthreads_and(int predicate, JAXTV_SITE) {
  return jaxtv::emulator::BlockBarrier(jaxtv::emulator::Barrier::kAnd, predicate, site);
}
inline int __syncthreads_or(int predicate, JAXTV_SITE) {
  return jaxtv::emulator::BlockBarrier(jaxtv::emulator::Barrier::kOr, predicate, site);
}

inline void __threadfence(JAXTV_SITE) {
  jaxtv::emulator::MemoryFence(jaxtv::emulator::Fence::kDevice, site);
}
inline void __threadfence_system(JAXTV_SITE) {
  jaxtv::emulator::MemoryFence(jaxtv::emulator::Fence::kDevice, site);
}
inline void __threadfence_block(JAXTV_SITE) {
  jaxtv::emulator::MemoryFence(jaxtv::emulator::Fence::kBlock, site);
}

inline void __nanosleep(unsigned int) { jaxtv::emulator::Yield(); }
[[noreturn]] inline void __trap(JAXTV_SITE) { jaxtv::emulator::Trap(site); }

inline void __syncwarp(unsigned mask = 0xffffffffu, JAXTV_SITE) {
  jaxtv::emulator::WarpCollective(jaxtv::emulator::WarpOp::kSync, mask, 0, site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, JAXTV_SITE) {
  return static_cast<unsigned>(jaxtv::emulator::WarpCollective(jaxtv::emulator::WarpOp::kBallot,
                                                               mask, predicate != 0, site));
}
inline int __any_sync(unsigned mask, int predicate, JAXTV_SITE) {
  return static_cast<int>(
      jaxtv::emulator::WarpCollective(jaxtv::emulator::WarpOp::kAny, mask, predicate != 0, site));
}
inline int __all_sync(unsigned mask, int predicate, JAXTV_SITE) {
  return static_cast<int>(
      jaxtv::emulator::WarpCollective(jaxtv::emulator::WarpOp::kAll, mask, predicate != 0, site));
}

namespace jaxtv::emulator {

template <typename T>
uint64_t ToBits(T value) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8),
                "warp operations take 4- and 8-byte numbers");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  return bits;
}

template <typename T>
T FromBits(uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

template <typename T>
T ShuffleValue(Shuffle kind, unsigned mask, T value, int argument, int width, Site site) {
  return FromBits<T>(WarpShuffle(kind, mask, ToBits(value), argument, width, site));
}

}  // namespace jaxtv::emulator

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, JAXTV_SITE) {
  return jaxtv::emulator::ShuffleValue(jaxtv::emulator::Shuffle::kIndex, mask, value, lane, width,
                                       site);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, JAXTV_SITE) {
  return jaxtv::emulator::ShuffleValue(jaxtv::emulator::Shuffle::kUp, mask, value,
                                       static_cast<int>(delta), width, site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, JAXTV_SITE) {
  return jaxtv::emulator::ShuffleValue(jaxtv::emulator::Shuffle::kDown, mask, value,
                                       static_cast<int>(delta), width, site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, JAXTV_SITE) {
  return jaxtv::emulator::ShuffleValue(jaxtv::emulator::Shuffle::kXor, mask, value, lane_mask,
                                       width, site);
}

template <typename T>
unsigned __match_any_sync(unsigned mask, T value, JAXTV_SITE) {
  return static_cast<unsigned>(jaxtv::emulator::WarpCollective(
      jaxtv::emulator::WarpOp::kMatchAny, mask, jaxtv::emulator::ToBits(value), site));
}
template <typename T>
unsigned __match_all_sync(unsigned mask, T value, int* all_equal, JAXTV_SITE) {
  const auto match = static_cast<unsigned>(jaxtv::emulator::WarpCollective(
      jaxtv::emulator::WarpOp::kMatchAll, mask, jaxtv::emulator::ToBits(value), site));
  *all_equal = match != 0;
  return match;
}

#define JAXTV_WARP_REDUCTION(name, type, op)                                       \
  inline type name(unsigned mask, type value, JAXTV_SITE) {                        \
    return static_cast<type>(jaxtv::emulator::WarpCollective(                      \
        jaxtv::emulator::WarpOp::op, mask, jaxtv::emulator::ToBits(value), site)); \
  }
JAXTV_WARP_REDUCTION(__reduce_add_sync, unsigned, kAddSigned)
JAXTV_WARP_REDUCTION(__reduce_add_sync, int, kAddSigned)
JAXTV_WARP_REDUCTION(__reduce_min_sync, unsigned, kMinUnsigned)
JAXTV_WARP_REDUCTION(__reduce_min_sync, int, kMinSigned)
JAXTV_WARP_REDUCTION(__reduce_max_sync, unsigned, kMaxUnsigned)
JAXTV_WARP_REDUCTION(__reduce_max_sync, int, kMaxSigned)
JAXTV_WARP_REDUCTION(__reduce_and_sync, unsigned, kAnd)
JAXTV_WARP_REDUCTION(__reduce_or_sync, unsigned, kOr)
JAXTV_WARP_REDUCTION(__reduce_xor_sync, unsigned, kXor)
#undef JAXTV_WARP_REDUCTION

#endif  // JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_SYNCHRONISATION_H_
