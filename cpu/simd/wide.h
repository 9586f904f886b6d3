// SPDX-License-Identifier: MIT
// A double for each lane of T, and sums in them.
#pragma once

#include "cpu/simd/vectors.h"

namespace jaxtv {
namespace JAXTV_ISA {

// The doubles of all lanes fill this many vectors.
template <typename T>
constexpr int kParts = int(sizeof(double) / sizeof(T));
template <typename T>
struct Wide {
  Vec<double> part[kParts<T>];
};

inline Wide<double> Widen(Vec<double> v) { return {{v}}; }
inline Vec<double> Narrow(Wide<double> w) { return w.part[0]; }
inline Mask<double> WideMask(Mask<double> m, int) { return m; }
inline Mask<double> JoinMasks(const Mask<double> (&part)[1]) { return part[0]; }

#if defined(__AVX512F__)
inline Wide<float> Widen(Vec<float> v) {
  return {
      {_mm512_cvtps_pd(_mm512_castps512_ps256(v)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))}};
}
inline Vec<float> Narrow(Wide<float> w) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(w.part[0])),
                            _mm512_cvtpd_ps(w.part[1]), 1);
}
inline __mmask8 WideMask(__mmask16 m, int part) { return __mmask8(m >> (8 * part)); }
inline __mmask16 JoinMasks(const __mmask8 (&part)[2]) { return _mm512_kunpackb(part[1], part[0]); }
#elif defined(__AVX2__)
// By intrinsics, since GCC 12 converts and joins the halves through memory.
inline __m128 HalfOf(Vec<float> v, int part) {
  return part == 0 ? _mm256_castps256_ps128(v) : _mm256_extractf128_ps(v, 1);
}
inline Wide<float> Widen(Vec<float> v) {
  return {{_mm256_cvtps_pd(HalfOf(v, 0)), _mm256_cvtps_pd(HalfOf(v, 1))}};
}
inline Vec<float> Narrow(Wide<float> w) {
  return _mm256_set_m128(_mm256_cvtpd_ps(w.part[1]), _mm256_cvtpd_ps(w.part[0]));
}
inline Mask<double> WideMask(Mask<float> m, int part) {
  return Mask<double>(_mm256_cvtepi32_epi64(__m128i(HalfOf(Vec<float>(m), part))));
}
#else
template <size_t... L>
inline Wide<float> WidenParts(Vec<float> v, std::index_sequence<L...>) {
  constexpr int kHalf = int(sizeof...(L));
  return {{__builtin_convertvector(__builtin_shufflevector(v, v, int(L)...), Vec<double>),
           __builtin_convertvector(__builtin_shufflevector(v, v, int(L) + kHalf...), Vec<double>)}};
}
inline Wide<float> Widen(Vec<float> v) {
  return WidenParts(v, std::make_index_sequence<kLanes<double> >());
}
template <size_t... L>
inline Vec<float> NarrowParts(Wide<float> w, std::index_sequence<L...>) {
  typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
  return __builtin_shufflevector(__builtin_convertvector(w.part[0], Half),
                                 __builtin_convertvector(w.part[1], Half), int(L)...);
}
inline Vec<float> Narrow(Wide<float> w) {
  return NarrowParts(w, std::make_index_sequence<kLanes<float> >());
}
template <size_t... L>
inline Mask<double> WideMaskPart(Mask<float> m, int part, std::index_sequence<L...>) {
  typedef int32_t Half __attribute__((vector_size(kVectorBytes / 2)));
  const Half half = part == 0 ? __builtin_shufflevector(m, m, int(L)...)
                              : __builtin_shufflevector(m, m, int(L) + int(sizeof...(L))...);
  return __builtin_convertvector(half, Mask<double>);
}
inline Mask<double> WideMask(Mask<float> m, int part) {
  return WideMaskPart(m, part, std::make_index_sequence<kLanes<double> >());
}
#endif

#if !defined(__AVX512F__)
// The lower half of each 64-bit lane of a, then of b.
template <size_t... L>
inline Mask<float> JoinLanes(Mask<float> a, Mask<float> b, std::index_sequence<L...>) {
  return __builtin_shufflevector(a, b, 2 * int(L)...);
}
inline Mask<float> JoinMasks(const Mask<double> (&part)[2]) {
  return JoinLanes(Mask<float>(part[0]), Mask<float>(part[1]),
                   std::make_index_sequence<kLanes<float> >());
}
#endif

// LongSum of core/run.h, one in each lane.
template <typename T>
struct Sum;

template <>
struct Sum<float> {
  Wide<float> sum = {};

  // Adds v, or starts with it in the lanes of the mask.
  void Add(Mask<float> start, Vec<float> v) {
    const Wide<float> term = Widen(v);
    for (int p = 0; p < 2; ++p) {
      sum.part[p] = Select(WideMask(start, p), Vec<double>{}, sum.part[p]) + term.part[p];
    }
  }
  Wide<float> Total() const { return sum; }
};

template <>
struct Sum<double> {
  Vec<double> sum = {}, carry = {};

  void Add(Mask<double> start, Vec<double> term) {
    const Vec<double> zero{}, before = Select(start, zero, sum);
    sum = before + term;
    const Vec<double> added = sum - before;
    carry = Select(start, zero, carry) + ((before - (sum - added)) + (term - added));
  }
  Wide<double> Total() const { return {{sum + carry}}; }
};

}  // namespace JAXTV_ISA
}  // namespace jaxtv
