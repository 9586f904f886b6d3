// SPDX-License-Identifier: MIT
// Moves of elements between lanes, and between lanes and memory.
#pragma once

#include "cpu/simd/vectors.h"

namespace jaxtv {
namespace JAXTV_ISA {

// Consecutive samples for each lane.
constexpr int kWindow = 2;
template <typename T>
struct Window {
  Vec<T> sample[kWindow];
};

template <typename V, size_t... L>
inline auto Join(V a, V b, std::index_sequence<L...>) {
  return __builtin_shufflevector(a, b, int(L)...);
}

// The windows of kCount lanes, one after the other: of each kPart lanes from kLane on, those in the
// first half.
template <int kLane, int kCount, int kPart, typename T>
inline auto LoadWindows(const T* from, const IntVec<T>& at) {
  if constexpr (kCount == 1) {
    typedef T Pair __attribute__((vector_size(kWindow * sizeof(T))));
    return Load<Pair>(from + at[kLane]);
  } else {
    constexpr int kHalf = kCount / 2, kNext = kLane + (kCount < kPart ? kHalf : kCount);
    return Join(LoadWindows<kLane, kHalf, kPart>(from, at),
                LoadWindows<kNext, kHalf, kPart>(from, at),
                std::make_index_sequence<kWindow * kCount>());
  }
}

// The samples of windows: 16 bytes of `a` and `b` each hold those of kPart lanes.
template <int kPart, typename T, size_t... L>
inline Window<T> Unzip(Vec<T> a, Vec<T> b, std::index_sequence<L...>) {
  constexpr auto kAt = [](int lane) {
    const int part = lane / kPart * kPart, within = kWindow * (lane % kPart);
    return part + (within < kPart ? within : within - kPart + kLanes<T>);
  };
  return {{__builtin_shufflevector(a, b, kAt(int(L))...),
           __builtin_shufflevector(a, b, kAt(int(L)) + 1 ...)}};
}

// The window that starts at from[at[l]], in each lane l. Instructions that gather take longer than
// to load each window, and so arranged, they are unzipped without moves beyond 16 bytes.
template <typename T>
inline Window<T> Gather(const T* from, const IntVec<T>& at) {
  constexpr int kHalf = kLanes<T> / 2, kPart = 16 / int(sizeof(T));
  return Unzip<kPart, T>(LoadWindows<0, kHalf, kPart>(from, at),
                         LoadWindows<kPart / 2, kHalf, kPart>(from, at),
                         std::make_index_sequence<kLanes<T>>());
}

#if defined(__AVX512F__)

// Writes the lanes of `v` in the mask one after the other and returns their number. The memory
// behind them, up to a whole vector, is overwritten.
inline int Compress(int32_t* to, __mmask16 m, IntVec<float> v) {
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(m, __m512i(v)));
  return __builtin_popcount(m);
}
inline int Compress(int64_t* to, __mmask8 m, IntVec<double> v) {
  _mm512_storeu_si512(to, _mm512_maskz_compress_epi64(m, __m512i(v)));
  return __builtin_popcount(m);
}

// The reverse of Compress: the lanes in the mask take the next elements from memory. A whole vector
// is read.
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

// The lanes whose byte, in one row of marks, equals `code`.
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

#if defined(__AVX2__)

// For each mask of eight elements: which ones they are, one after the other, and for each element
// how many come before it.
struct Orders {
  uint8_t packed[256][8] = {}, spread[256][8] = {};

  constexpr Orders() {
    for (int mask = 0; mask < 256; ++mask) {
      int count = 0;
      for (int i = 0; i < 8; ++i) {
        if (!(mask >> i & 1)) continue;
        packed[mask][count] = uint8_t(i);
        spread[mask][i] = uint8_t(count++);
      }
    }
  }
};
static constexpr Orders kOrders;

// The elements of 32 bits that `order` names; a lane of 64 bits is two of them.
inline __m256i Permute(__m256i v, const uint8_t* order) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(order));
  return _mm256_permutevar8x32_epi32(v, _mm256_cvtepu8_epi32(bytes));
}

template <typename E, typename M, typename V>
inline int Compress(E* to, M m, V v) {
  const int bits = _mm256_movemask_ps(__m256(m));
  Store(to, Permute(__m256i(v), kOrders.packed[bits]));
  return __builtin_popcount(uint32_t(bits)) / int(sizeof(E) / sizeof(int32_t));
}

template <typename E, typename M, typename V>
inline V Expand(V v, M m, const E* from) {
  const int bits = _mm256_movemask_ps(__m256(m));
  const __m256i next = Permute(Load<__m256i>(from), kOrders.spread[bits]);
  return V(_mm256_blendv_epi8(__m256i(v), next, __m256i(m)));
}

#else

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

#endif

template <typename T>
inline Mask<T> EqualBytes(const uint8_t* bytes, uint8_t code) {
  IntVec<T> v;
  for (int l = 0; l < kLanes<T>; ++l) v[l] = bytes[l];
  return v == Int<T>(code);
}

#endif

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
