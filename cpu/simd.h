// SPDX-License-Identifier: MIT
// Vectors of the instruction set that this file is compiled for: AVX-512, AVX2, or what the
// compiler makes of 16 bytes anywhere. Arithmetic is that of GCC and Clang vector types, element
// by element, so every lane computes what scalar code would.
//
// JAXTV_ISA names the instruction set and the namespace, so that one source compiled several times
// leaves several sets of symbols.
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
// A vector of T, of integers as many and as large, and how many.
template <typename T>
using Vec = typename VectorOf<T>::type;
template <typename T>
using IntVec = typename VectorOf<Int<T>>::type;
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

// Consecutive samples of each lane: as many as one gather of 8 bytes brings.
template <typename T>
constexpr int kWindow = int(sizeof(double) / sizeof(T));
template <typename T>
struct Window {
  Vec<T> sample[kWindow<T>];
};

template <size_t... L>
inline Window<float> UnzipLanes(Vec<float> a, Vec<float> b, std::index_sequence<L...>) {
  return {{__builtin_shufflevector(a, b, 2 * int(L)...),
           __builtin_shufflevector(a, b, 2 * int(L) + 1 ...)}};
}
// The even and the odd elements of a, b.
inline Window<float> Unzip(Vec<float> a, Vec<float> b) {
  return UnzipLanes(a, b, std::make_index_sequence<kLanes<float>>());
}

#if defined(__AVX512F__)

// One bit for each lane.
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

template <typename T>
inline uint32_t Bits(Mask<T> m) {
  return m;
}
template <typename T>
inline Mask<T> FromBits(uint32_t bits) {
  return Mask<T>(bits);
}

// Places from..from+1 of each lane: two floats cost no more to gather than one.
inline Window<float> Gather(const float* from, IntVec<float> at) {
  const __m512i a = _mm512_i32gather_epi64(_mm512_castsi512_si256(__m512i(at)), from, 4);
  const __m512i b = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(__m512i(at), 1), from, 4);
  return Unzip(Vec<float>(a), Vec<float>(b));
}
inline Window<double> Gather(const double* from, IntVec<double> at) {
  return {{_mm512_i64gather_pd(__m512i(at), from, 8)}};
}

// Writes the lanes of `v` in the mask one after the other (and anything behind them, up to a whole
// vector) and returns how many they are.
inline int Compress(int32_t* to, __mmask16 m, IntVec<float> v) {
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(m, __m512i(v)));
  return __builtin_popcount(m);
}
inline int Compress(int64_t* to, __mmask8 m, IntVec<double> v) {
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi64(m, __m512i(v)));
  return __builtin_popcount(m);
}

// The reverse: the lanes in the mask take the next elements from memory; reads a whole vector.
inline Vec<float> Expand(Vec<float> v, __mmask16 m, const float* from) {
  return _mm512_mask_expand_ps(v, m, Load<Vec<float>>(from));
}
inline Vec<double> Expand(Vec<double> v, __mmask8 m, const double* from) {
  return _mm512_mask_expand_pd(v, m, Load<Vec<double>>(from));
}
inline IntVec<float> Expand(IntVec<float> v, __mmask16 m, const int32_t* from) {
  return IntVec<float>(_mm512_mask_expand_epi32(__m512i(v), m, _mm512_loadu_si512(from)));
}
inline IntVec<double> Expand(IntVec<double> v, __mmask8 m, const int64_t* from) {
  return IntVec<double>(_mm512_mask_expand_epi64(__m512i(v), m, _mm512_loadu_si512(from)));
}

// The bytes of one row of marks that equal `code`.
template <typename T>
inline Mask<T> EqualBytes(const uint8_t* bytes, uint8_t code) {
  if constexpr (sizeof(T) == 4) {
    return _mm_cmpeq_epi8_mask(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)),
                               _mm_set1_epi8(char(code)));
  } else {
    return __mmask8(_mm_cmpeq_epi8_mask(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes)),
                                        _mm_set1_epi8(char(code))));
  }
}

#else

// All bits of a lane set, or none.
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
  return m ? a : b;
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

#if defined(__AVX2__)
inline Window<float> Gather(const float* from, IntVec<float> at) {
  const long long* pairs = reinterpret_cast<const long long*>(from);
  const __m256i a = _mm256_i32gather_epi64(pairs, _mm256_castsi256_si128(__m256i(at)), 4);
  const __m256i b = _mm256_i32gather_epi64(pairs, _mm256_extracti128_si256(__m256i(at), 1), 4);
  return Unzip(Vec<float>(a), Vec<float>(b));
}
inline Window<double> Gather(const double* from, IntVec<double> at) {
  return {{_mm256_i64gather_pd(from, __m256i(at), 8)}};
}
#else
inline Window<float> Gather(const float* from, IntVec<float> at) {
  Vec<float> pairs[2];
  for (int l = 0; l < kLanes<float>; ++l) {
    std::memcpy(reinterpret_cast<char*>(pairs) + 8 * l, from + at[l], 8);
  }
  return Unzip(pairs[0], pairs[1]);
}
inline Window<double> Gather(const double* from, IntVec<double> at) {
  return {{Vec<double>{from[at[0]], from[at[1]]}}};
}
#endif

template <typename E, typename M, typename V>
inline int Compress(E* to, M m, V v) {
  constexpr int kCount = kVectorBytes / int(sizeof(E));
  int count = 0;
  for (int l = 0; l < kCount; ++l) {
    to[count] = v[l];
    count -= int(m[l]);
  }
  return count;
}

template <typename E, typename M, typename V>
inline V Expand(V v, M m, const E* from) {
  for (int l = 0; l < kVectorBytes / int(sizeof(E)); ++l) {
    if (m[l]) v[l] = *from++;
  }
  return v;
}

template <typename T>
inline Mask<T> EqualBytes(const uint8_t* bytes, uint8_t code) {
  IntVec<T> v;
  for (int l = 0; l < kLanes<T>; ++l) v[l] = bytes[l];
  return v == Int<T>(code);
}

#endif

// A double for each lane of float.
struct Wide {
  Vec<double> part[2];
};

#if defined(__AVX512F__)
inline Wide Widen(Vec<float> v) {
  return {
      {_mm512_cvtps_pd(_mm512_castps512_ps256(v)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1))}};
}
inline Vec<float> Narrow(Wide w) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(w.part[0])),
                            _mm512_cvtpd_ps(w.part[1]), 1);
}
inline __mmask8 WideMask(__mmask16 m, int part) { return __mmask8(m >> (8 * part)); }
#else
template <size_t... L>
inline Wide WidenParts(Vec<float> v, std::index_sequence<L...>) {
  constexpr int kHalf = int(sizeof...(L));
  return {{__builtin_convertvector(__builtin_shufflevector(v, v, int(L)...), Vec<double>),
           __builtin_convertvector(__builtin_shufflevector(v, v, int(L) + kHalf...), Vec<double>)}};
}
inline Wide Widen(Vec<float> v) {
  return WidenParts(v, std::make_index_sequence<kLanes<double>>());
}
inline Vec<float> Narrow(Wide w) {
  typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
  Vec<float> v;
  for (int p = 0; p < 2; ++p) {
    const Half half = __builtin_convertvector(w.part[p], Half);
    std::memcpy(reinterpret_cast<char*>(&v) + p * sizeof(Half), &half, sizeof(Half));
  }
  return v;
}
template <size_t... L>
inline Mask<double> WideMaskPart(Mask<float> m, int part, std::index_sequence<L...>) {
  typedef int32_t Half __attribute__((vector_size(kVectorBytes / 2)));
  const Half half = part == 0 ? __builtin_shufflevector(m, m, int(L)...)
                              : __builtin_shufflevector(m, m, int(L) + int(sizeof...(L))...);
  return __builtin_convertvector(half, Mask<double>);
}
inline Mask<double> WideMask(Mask<float> m, int part) {
  return WideMaskPart(m, part, std::make_index_sequence<kLanes<double>>());
}
#endif

// The sums of core/run.h, one in each lane.
template <typename T>
struct Sum;

template <>
struct Sum<float> {
  Wide sum = {};

  // Adds v, or starts with it in the lanes of the mask.
  void Add(Mask<float> start, Vec<float> v) {
    const Wide term = Widen(v);
    for (int p = 0; p < 2; ++p) {
      sum.part[p] = Select(WideMask(start, p), Vec<double>{}, sum.part[p]) + term.part[p];
    }
  }
  Vec<float> Total() const { return Narrow(sum); }
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
  Vec<double> Total() const { return sum + carry; }
};

// The bits of all lanes.
template <typename T>
constexpr uint32_t kAllLanes = uint32_t((uint64_t(1) << kLanes<T>)-1);

template <typename T>
inline Vec<T> Min(Vec<T> a, Vec<T> b) {
  return Select(Less(b, a), b, a);
}

template <typename T>
inline Vec<T> Max(Vec<T> a, Vec<T> b) {
  return Select(Less(a, b), b, a);
}

// Transposes a square of vectors by exchanging, for each bit of the indices, the off-diagonal
// blocks of that size.
template <typename T, int kBit, size_t... L>
inline void ExchangeBlocks(Vec<T>* rows, std::index_sequence<L...>) {
  constexpr int kCount = kLanes<T>;
  for (int i = 0; i < kCount; ++i) {
    if (i & kBit) continue;
    const Vec<T> a = rows[i], b = rows[i + kBit];
    rows[i] = __builtin_shufflevector(a, b, int(L) & kBit ? kCount + int(L) - kBit : int(L)...);
    rows[i + kBit] =
        __builtin_shufflevector(a, b, int(L) & kBit ? kCount + int(L) : int(L) + kBit...);
  }
}

template <typename T, int kBit = 1>
inline void Transpose(Vec<T>* rows) {
  if constexpr (kBit < kLanes<T>) {
    ExchangeBlocks<T, kBit>(rows, std::make_index_sequence<kLanes<T>>());
    Transpose<T, 2 * kBit>(rows);
  }
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
