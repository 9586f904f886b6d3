// SPDX-License-Identifier: MIT
//
// CUDA's qualifiers, vector types and built-in variables.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_TYPES_H_
#define JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_TYPES_H_

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

// Thread-local storage sets shared arrays apart from all other memory: the runtime finds them, by
// name and size, among the TLS symbols of the library. AddressSanitizer gives TLS no red zones.
#if defined(__SANITIZE_ADDRESS__)
#define __shared__ static
#else
#define __shared__ thread_local
#endif

#define JAXTV_VECTOR_TYPES(name, type)                                                   \
  struct name##1 { type x; };                                                            \
  struct alignas(2 * sizeof(type)) name##2 { type x, y; };                               \
  struct name##3 { type x, y, z; };                                                      \
  struct alignas(sizeof(type) < 8 ? 4 * sizeof(type) : 16) name##4 { type x, y, z, w; }; \
  inline name##1 make_##name##1(type x) { return {x}; }                                  \
  inline name##2 make_##name##2(type x, type y) { return {x, y}; }                       \
  inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }            \
  inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

JAXTV_VECTOR_TYPES(char, signed char)
JAXTV_VECTOR_TYPES(uchar, unsigned char)
JAXTV_VECTOR_TYPES(short, short)
JAXTV_VECTOR_TYPES(ushort, unsigned short)
JAXTV_VECTOR_TYPES(int, int)
JAXTV_VECTOR_TYPES(uint, unsigned int)
JAXTV_VECTOR_TYPES(longlong, long long)
JAXTV_VECTOR_TYPES(ulonglong, unsigned long long)
JAXTV_VECTOR_TYPES(float, float)
JAXTV_VECTOR_TYPES(double, double)
#undef JAXTV_VECTOR_TYPES

struct dim3 {
  unsigned int x, y, z;
  constexpr dim3(unsigned int x = 1, unsigned int y = 1, unsigned int z = 1) : x(x), y(y), z(z) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

// Set by the scheduler whenever it resumes a thread. Not const: the compiler must read them again
// after every call that may switch threads.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
constexpr int warpSize = 32;

#endif  // JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_TYPES_H_
