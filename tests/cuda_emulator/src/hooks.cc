// SPDX-License-Identifier: MIT
//
// Our own definitions of what `g++ -fsanitize=thread -fsanitize=bounds` calls. The kernels are
// compiled with these options but not linked with the sanitizers' libraries.
#include <cstdint>
#include <cstring>
#include <string>

#include "checker.h"
#include "machine.h"
#include "module.h"

namespace jaxtv::emulator {
namespace {

inline void OnHook(const void* address, size_t bytes, bool is_write, const void* pc,
                   bool may_have_padding = false) {
  if (TheMachine().current == nullptr) return;
  TheChecker().OnAccess(static_cast<const char*>(address), bytes,
                        is_write ? AccessKind::kWrite : AccessKind::kRead,
                        TheModule().CodeOffset(pc), may_have_padding);
}

}  // namespace
}  // namespace jaxtv::emulator

using jaxtv::emulator::OnHook;

extern "C" {

void __tsan_init() { jaxtv::emulator::Checker::Enable(); }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}

#define JAXTV_HOOK(suffix, bytes)                               \
  void __tsan_read##suffix(void* address) {                     \
    OnHook(address, bytes, false, __builtin_return_address(0)); \
  }                                                             \
  void __tsan_write##suffix(void* address) {                    \
    OnHook(address, bytes, true, __builtin_return_address(0));  \
  }                                                             \
  void __tsan_unaligned_read##suffix(void* address) {           \
    OnHook(address, bytes, false, __builtin_return_address(0)); \
  }                                                             \
  void __tsan_unaligned_write##suffix(void* address) {          \
    OnHook(address, bytes, true, __builtin_return_address(0));  \
  }                                                             \
  void __tsan_volatile_read##suffix(void* address) {            \
    OnHook(address, bytes, false, __builtin_return_address(0)); \
  }                                                             \
  void __tsan_volatile_write##suffix(void* address) {           \
    OnHook(address, bytes, true, __builtin_return_address(0));  \
  }
JAXTV_HOOK(1, 1)
JAXTV_HOOK(2, 2)
JAXTV_HOOK(4, 4)
JAXTV_HOOK(8, 8)
JAXTV_HOOK(16, 16)
#undef JAXTV_HOOK

void __tsan_read_range(void* address, size_t bytes) {
  OnHook(address, bytes, false, __builtin_return_address(0), true);
}
void __tsan_write_range(void* address, size_t bytes) {
  OnHook(address, bytes, true, __builtin_return_address(0));
}

// Host code in a `.cu` file may use std::atomic and guarded statics; kernels may not.
#define JAXTV_ATOMIC_HOOKS(bits, type)                                                            \
  type __tsan_atomic##bits##_load(const volatile type* a, int) {                                  \
    return __atomic_load_n(a, __ATOMIC_SEQ_CST);                                                  \
  }                                                                                               \
  void __tsan_atomic##bits##_store(volatile type* a, type value, int) {                           \
    __atomic_store_n(a, value, __ATOMIC_SEQ_CST);                                                 \
  }                                                                                               \
  type __tsan_atomic##bits##_exchange(volatile type* a, type value, int) {                        \
    return __atomic_exchange_n(a, value, __ATOMIC_SEQ_CST);                                       \
  }                                                                                               \
  type __tsan_atomic##bits##_fetch_add(volatile type* a, type value, int) {                       \
    return __atomic_fetch_add(a, value, __ATOMIC_SEQ_CST);                                        \
  }                                                                                               \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile type* a, type* expected, type value, \
                                                    int, int) {                                   \
    return __atomic_compare_exchange_n(a, expected, value, false, __ATOMIC_SEQ_CST,               \
                                       __ATOMIC_SEQ_CST);                                         \
  }
JAXTV_ATOMIC_HOOKS(8, uint8_t)
JAXTV_ATOMIC_HOOKS(32, uint32_t)
JAXTV_ATOMIC_HOOKS(64, uint64_t)
#undef JAXTV_ATOMIC_HOOKS

#if !defined(__SANITIZE_ADDRESS__)
struct UbsanSourceLocation {
  const char* file;
  uint32_t line, column;
};

void __ubsan_handle_out_of_bounds(UbsanSourceLocation* place, uintptr_t index) {
  using namespace jaxtv::emulator;  // NOLINT(build/namespaces)
  if (TheMachine().current == nullptr) return;
  Fail(cudaErrorIllegalAddress, "out of bounds: index " +
                                    std::to_string(static_cast<intptr_t>(index)) + " by thread " +
                                    Describe(TheMachine().current->index) + " at " +
                                    Describe(Site{place->file, static_cast<int>(place->line)}));
}
#endif

}  // extern "C"
