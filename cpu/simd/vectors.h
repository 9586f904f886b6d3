// SPDX-License-Identifier: MIT
// Vectors of the instruction set that this file is compiled for: AVX-512, AVX2, or for any other
// processor 16 bytes, to which the compiler fits its instructions. Arithmetic is that of GCC and
// Clang vector types, element by element, so every lane computes the result of scalar code.
//
// JAXTV_ISA names the instruction set and the namespace, so that one source compiled several times
// leaves several sets of symbols. No other inline function may be called in that namespace, not
// even one of std, unless it is always inlined: see JAXTV_ALWAYS_INLINE in core/line.h.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace jaxtv {
namespace JAXTV_ISA {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

// Integers of the size of T.
template <typename T>
struct IntOf;
template <>
struct IntOf<float> {
  using type = int32_t;
};
template <>
struct IntOf<double> {
  using type = int64_t;
};
template <typename T>
using Int = typename IntOf<T>::type;

template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};
template <typename T>
using Vec = typename VectorOf<T>::type;

// Integer vector of equal lane count and width.
template <typename T>
using IntVec = typename VectorOf<Int<T>>::type;

// The lane count of both.
template <typename T>
constexpr int kLanes = kVectorBytes / int(sizeof(T));

template <typename V, typename E>
inline V Load(const E* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}

template <typename V, typename E>
inline void Store(E* to, V v) {
  std::memcpy(to, &v, sizeof(V));
}

template <typename V, typename E>
inline V Broadcast(E value) {
  return V{} + value;
}

template <typename T, size_t... L>
inline IntVec<T> IotaOf(std::index_sequence<L...>) {
  return IntVec<T>{Int<T>(L)...};
}

// 0, 1, 2, ...
template <typename T>
inline IntVec<T> Iota() {
  return IotaOf<T>(std::make_index_sequence<kLanes<T>>());
}

#if defined(__AVX512F__)

// A bit for each lane.
template <typename T>
using Mask = std::conditional_t<sizeof(T) == 4, __mmask16, __mmask8>;

inline __mmask16 Less(Vec<float> a, Vec<float> b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
inline __mmask8 Less(Vec<double> a, Vec<double> b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
inline __mmask16 AtMost(Vec<float> a, Vec<float> b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
inline __mmask8 AtMost(Vec<double> a, Vec<double> b) {
  return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ);
}
inline __mmask16 Equal(Vec<float> a, Vec<float> b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
inline __mmask8 Equal(Vec<double> a, Vec<double> b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
inline __mmask16 Less(IntVec<float> a, IntVec<float> b) {
  return _mm512_cmplt_epi32_mask(__m512i(a), __m512i(b));
}
inline __mmask8 Less(IntVec<double> a, IntVec<double> b) {
  return _mm512_cmplt_epi64_mask(__m512i(a), __m512i(b));
}
inline __mmask16 Equal(IntVec<float> a, IntVec<float> b) {
  return _mm512_cmpeq_epi32_mask(__m512i(a), __m512i(b));
}
inline __mmask8 Equal(IntVec<double> a, IntVec<double> b) {
  return _mm512_cmpeq_epi64_mask(__m512i(a), __m512i(b));
}

// a where the mask is set, else b.
inline Vec<float> Select(__mmask16 m, Vec<float> a, Vec<float> b) {
  return _mm512_mask_blend_ps(m, b, a);
}
inline Vec<double> Select(__mmask8 m, Vec<double> a, Vec<double> b) {
  return _mm512_mask_blend_pd(m, b, a);
}
inline IntVec<float> Select(__mmask16 m, IntVec<float> a, IntVec<float> b) {
  return IntVec<float>(_mm512_mask_blend_epi32(m, __m512i(b), __m512i(a)));
}
inline IntVec<double> Select(__mmask8 m, IntVec<double> a, IntVec<double> b) {
  return IntVec<double>(_mm512_mask_blend_epi64(m, __m512i(b), __m512i(a)));
}

// Intrinsics, since for the operators GCC moves masks to general registers and back.
inline __mmask16 And(__mmask16 a, __mmask16 b) { return _kand_mask16(a, b); }
inline __mmask8 And(__mmask8 a, __mmask8 b) { return _kand_mask8(a, b); }
inline __mmask16 Or(__mmask16 a, __mmask16 b) { return _kor_mask16(a, b); }
inline __mmask8 Or(__mmask8 a, __mmask8 b) { return _kor_mask8(a, b); }
inline __mmask16 AndNot(__mmask16 a, __mmask16 b) { return _kandn_mask16(b, a); }
inline __mmask8 AndNot(__mmask8 a, __mmask8 b) { return _kandn_mask8(b, a); }

template <typename T>
inline uint32_t Bits(Mask<T> m) {
  return m;
}
template <typename T>
inline Mask<T> FromBits(uint32_t bits) {
  return Mask<T>(bits);
}

#else

// In each lane all bits are set, or none.
template <typename T>
using Mask = IntVec<T>;

template <typename V>
inline auto Less(V a, V b) {
  return a < b;
}
template <typename V>
inline auto AtMost(V a, V b) {
  return a <= b;
}
template <typename V>
inline auto Equal(V a, V b) {
  return a == b;
}
template <typename M, typename V>
inline V Select(M m, V a, V b) {
#if defined(__AVX2__)
  // Of m ? a : b, and of the intrinsic too, GCC makes a comparison of m with 0 and a blend.
  asm("vblendvps %2, %1, %0, %0" : "+x"(b) : "x"(a), "x"(m));
  return b;
#else
  return m ? a : b;
#endif
}
template <typename M>
inline M And(M a, M b) {
  return a & b;
}
template <typename M>
inline M Or(M a, M b) {
  return a | b;
}
template <typename M>
inline M AndNot(M a, M b) {
  return a & ~b;
}

template <typename T>
inline uint32_t Bits(Mask<T> m) {
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return uint32_t(_mm256_movemask_ps(__m256(m)));
  } else {
    return uint32_t(_mm256_movemask_pd(__m256d(m)));
  }
#else
  uint32_t bits = 0;
  for (int l = 0; l < kLanes<T>; ++l) bits |= uint32_t(m[l] & 1) << l;
  return bits;
#endif
}
template <typename T>
inline Mask<T> FromBits(uint32_t bits) {
  const IntVec<T> bit = Broadcast<IntVec<T>>(Int<T>(1)) << Iota<T>();
  return (Broadcast<IntVec<T>>(Int<T>(bits)) & bit) == bit;
}

#endif

// The mask in which all lanes are set, as Bits gives it.
template <typename T>
constexpr uint32_t kAllLanes = uint32_t((uint64_t(1) << kLanes<T>)-1);

// b where b < a, else a. The instructions name their operands in the other order.
template <typename T>
inline Vec<T> Min(Vec<T> a, Vec<T> b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return _mm512_min_ps(b, a);
  } else {
    return _mm512_min_pd(b, a);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return _mm256_min_ps(b, a);
  } else {
    return _mm256_min_pd(b, a);
  }
#else
  return Select(Less(b, a), b, a);
#endif
}
// b where a < b, else a.
template <typename T>
inline Vec<T> Max(Vec<T> a, Vec<T> b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return _mm512_max_ps(b, a);
  } else {
    return _mm512_max_pd(b, a);
  }
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4) {
    return _mm256_max_ps(b, a);
  } else {
    return _mm256_max_pd(b, a);
  }
#else
  return Select(Less(a, b), b, a);
#endif
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
