// SPDX-License-Identifier: MIT
//
// Device functions without side effects: bits, conversions, rounding, min and max.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_DEVICE_MATH_H_
#define JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_DEVICE_MATH_H_

#include <math.h>

#include <cstdint>
#include <cstring>
#include <limits>

namespace jaxtv::emulator {

template <typename To, typename From>
To BitCast(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(To));
  return to;
}

// CUDA's conversions saturate and send NaN to 0, where C++ leaves both undefined.
template <typename To, typename From>
To SaturatingConvert(From rounded) {
  if (rounded != rounded) return 0;
  if (rounded <= static_cast<From>(std::numeric_limits<To>::min())) {
    return std::numeric_limits<To>::min();
  }
  if (rounded >= static_cast<From>(std::numeric_limits<To>::max())) {
    return std::numeric_limits<To>::max();
  }
  return static_cast<To>(rounded);
}

}  // namespace jaxtv::emulator

#define JAXTV_MIN_MAX(type)                                 \
  inline type min(type a, type b) { return b < a ? b : a; } \
  inline type max(type a, type b) { return a < b ? b : a; }
JAXTV_MIN_MAX(int)
JAXTV_MIN_MAX(unsigned)
JAXTV_MIN_MAX(long)
JAXTV_MIN_MAX(unsigned long)
JAXTV_MIN_MAX(long long)
JAXTV_MIN_MAX(unsigned long long)
#undef JAXTV_MIN_MAX
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) {
  return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
inline unsigned __brev(unsigned x) {
  unsigned reversed = 0;
  for (int bit = 0; bit < 32; ++bit) reversed |= ((x >> bit) & 1u) << (31 - bit);
  return reversed;
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31u));
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return shift % 32 == 0 ? high : high << shift % 32 | low >> (32 - shift % 32);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<uint64_t>(a) * b) >> 32);
}

inline int __float_as_int(float x) { return jaxtv::emulator::BitCast<int>(x); }
inline unsigned __float_as_uint(float x) { return jaxtv::emulator::BitCast<unsigned>(x); }
inline float __int_as_float(int x) { return jaxtv::emulator::BitCast<float>(x); }
inline float __uint_as_float(unsigned x) { return jaxtv::emulator::BitCast<float>(x); }
inline long long __double_as_longlong(double x) { return jaxtv::emulator::BitCast<long long>(x); }
inline double __longlong_as_double(long long x) { return jaxtv::emulator::BitCast<double>(x); }
inline int __double2hiint(double x) { return static_cast<int>(__double_as_longlong(x) >> 32); }
inline int __double2loint(double x) { return static_cast<int>(__double_as_longlong(x)); }
inline double __hiloint2double(int high, int low) {
  return __longlong_as_double((static_cast<long long>(high) << 32) | static_cast<unsigned>(low));
}

inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __drcp_rn(double a) { return 1.0 / a; }
inline double __dsqrt_rn(double a) { return sqrt(a); }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float __fdividef(float a, float b) { return a / b; }

inline float __double2float_rn(double x) { return static_cast<float>(x); }
inline float __double2float_rd(double x) {
  const float nearest = static_cast<float>(x);
  return nearest > x ? nextafterf(nearest, -INFINITY) : nearest;
}
inline float __double2float_ru(double x) {
  const float nearest = static_cast<float>(x);
  return nearest < x ? nextafterf(nearest, INFINITY) : nearest;
}
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline double __int2double_rn(int x) { return static_cast<double>(x); }
inline double __ll2double_rn(long long x) { return static_cast<double>(x); }

#define JAXTV_CONVERT(from, short_name, suffix, rounding)              \
  inline int __##short_name##2int_##suffix(from x) {                   \
    return jaxtv::emulator::SaturatingConvert<int>(rounding(x));       \
  }                                                                    \
  inline long long __##short_name##2ll_##suffix(from x) {              \
    return jaxtv::emulator::SaturatingConvert<long long>(rounding(x)); \
  }
JAXTV_CONVERT(float, float, rn, rintf)
JAXTV_CONVERT(float, float, rz, truncf)
JAXTV_CONVERT(float, float, rd, floorf)
JAXTV_CONVERT(float, float, ru, ceilf)
JAXTV_CONVERT(double, double, rn, rint)
JAXTV_CONVERT(double, double, rz, trunc)
JAXTV_CONVERT(double, double, rd, floor)
JAXTV_CONVERT(double, double, ru, ceil)
#undef JAXTV_CONVERT

// Cache hints change no value.
#define JAXTV_CACHED_LOAD(name)     \
  template <typename T>             \
  inline T name(const T* address) { \
    return *address;                \
  }
JAXTV_CACHED_LOAD(__ldg)
JAXTV_CACHED_LOAD(__ldca)
JAXTV_CACHED_LOAD(__ldcg)
JAXTV_CACHED_LOAD(__ldcs)
#undef JAXTV_CACHED_LOAD

#define JAXTV_CACHED_STORE(name)          \
  template <typename T>                   \
  inline void name(T* address, T value) { \
    *address = value;                     \
  }
JAXTV_CACHED_STORE(__stwb)
JAXTV_CACHED_STORE(__stcg)
JAXTV_CACHED_STORE(__stcs)
#undef JAXTV_CACHED_STORE

#endif  // JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_DEVICE_MATH_H_
