// SPDX-License-Identifier: MIT
//
// Atomic functions, with the types that CUDA gives each of them.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_ATOMICS_H_
#define JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_ATOMICS_H_

#include "jaxtv_emulator/calls.h"
#include "jaxtv_emulator/synchronisation.h"

namespace jaxtv::emulator {

// Threads are fibers of one operating-system thread, so a plain update is atomic. It must not be
// instrumented: the checker is told of it by BeforeAtomic.
template <typename T, typename Update>
__attribute__((no_sanitize("thread"), noinline)) T AtomicUpdate(T* address, Update update,
                                                                Site site) {
  BeforeAtomic(address, sizeof(T), site);
  const T old = *address;
  *address = update(old);
  AfterAtomic();
  return old;
}

}  // namespace jaxtv::emulator

#define JAXTV_ATOMIC(name, type, expression)                              \
  inline type name(type* address, type value, JAXTV_SITE) {               \
    return jaxtv::emulator::AtomicUpdate(                                 \
        address, [value](type old) -> type { return expression; }, site); \
  }
#define JAXTV_ATOMIC_32(name, expression) \
  JAXTV_ATOMIC(name, int, expression)     \
  JAXTV_ATOMIC(name, unsigned, expression)
#define JAXTV_ATOMIC_INTEGERS(name, expression) \
  JAXTV_ATOMIC_32(name, expression)             \
  JAXTV_ATOMIC(name, unsigned long long, expression)

JAXTV_ATOMIC_INTEGERS(atomicAdd, old + value)
JAXTV_ATOMIC(atomicAdd, float, old + value)
JAXTV_ATOMIC(atomicAdd, double, old + value)
JAXTV_ATOMIC_32(atomicSub, old - value)
JAXTV_ATOMIC_INTEGERS(atomicMin, value < old ? value : old)
JAXTV_ATOMIC(atomicMin, long long, value < old ? value : old)
JAXTV_ATOMIC_INTEGERS(atomicMax, value > old ? value : old)
JAXTV_ATOMIC(atomicMax, long long, value > old ? value : old)
JAXTV_ATOMIC_INTEGERS(atomicAnd, old& value)
JAXTV_ATOMIC_INTEGERS(atomicOr, old | value)
JAXTV_ATOMIC_INTEGERS(atomicXor, old ^ value)
JAXTV_ATOMIC_INTEGERS(atomicExch, (static_cast<void>(old), value))
JAXTV_ATOMIC(atomicExch, float, (static_cast<void>(old), value))
JAXTV_ATOMIC(atomicInc, unsigned, old >= value ? 0u : old + 1u)
JAXTV_ATOMIC(atomicDec, unsigned, old == 0u || old > value ? value : old - 1u)

#undef JAXTV_ATOMIC_INTEGERS
#undef JAXTV_ATOMIC_32
#undef JAXTV_ATOMIC

#define JAXTV_ATOMIC_CAS(type)                                                          \
  inline type atomicCAS(type* address, type compare, type value, JAXTV_SITE) {          \
    return jaxtv::emulator::AtomicUpdate(                                               \
        address, [=](type old) -> type { return old == compare ? value : old; }, site); \
  }
JAXTV_ATOMIC_CAS(int)
JAXTV_ATOMIC_CAS(unsigned)
JAXTV_ATOMIC_CAS(unsigned long long)
#undef JAXTV_ATOMIC_CAS

#endif  // JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_ATOMICS_H_
