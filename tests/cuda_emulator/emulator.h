// SPDX-License-Identifier: MIT
//
// What tests and FFI handlers may ask of the CUDA emulator. The C functions are for ctypes, the
// class CallScope for handlers: it tells the race checker which memory a call may touch.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_EMULATOR_H_
#define JAXTV_TESTS_CUDA_EMULATOR_EMULATOR_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#define JAXTV_EMULATOR_EXPORT __attribute__((visibility("default")))

extern "C" {

// Order in which threads run. Forward, reverse and random: a block after the other, of each a warp
// after the other, of each a lane after the other. Interleaved: threads of several blocks by turns
// of random length; delayed: besides, some sleep at random while others run ahead.
enum JaxtvEmulatorOrder {
  kJaxtvOrderForward = 0,
  kJaxtvOrderReverse = 1,
  kJaxtvOrderRandom = 2,
  kJaxtvOrderInterleaved = 3,
  kJaxtvOrderDelayed = 4,
};
JAXTV_EMULATOR_EXPORT void jaxtv_emulator_set_order(int order, uint64_t seed);

// Byte that fills fresh shared and scratch memory; 0xFF makes every float a NaN.
JAXTV_EMULATOR_EXPORT void jaxtv_emulator_set_poison(int byte);

// 0: the assembler switch (x86-64 only), 1: ucontext.
JAXTV_EMULATOR_EXPORT void jaxtv_emulator_set_fibers(int backend);

// Number of the synchronisation to leave out in a library made by mutate.py; -1 for none.
JAXTV_EMULATOR_EXPORT void jaxtv_emulator_set_mutant(int number);

// Buffers that kernels may touch. Once one is registered, the check build refuses every access
// outside all of them. `name` is copied. Registering an address again as another kind makes it
// in-out: XLA aliases donated arguments with results.
enum JaxtvEmulatorAccess {
  kJaxtvInput = 0,   // read only, initialised
  kJaxtvOutput = 1,  // uninitialised
  kJaxtvInOut = 2,   // initialised, written
};
JAXTV_EMULATOR_EXPORT void jaxtv_emulator_register(const void* data, size_t bytes, int access,
                                                   const char* name);
JAXTV_EMULATOR_EXPORT void jaxtv_emulator_unregister(const void* data);
JAXTV_EMULATOR_EXPORT void jaxtv_emulator_unregister_all();

// Text of what the last launch found; empty if it found nothing. Valid until the next launch.
JAXTV_EMULATOR_EXPORT const char* jaxtv_emulator_last_report();

// 1 if the kernels of this library are instrumented (flavour "check").
JAXTV_EMULATOR_EXPORT int jaxtv_emulator_is_checking();

// Number of kernels launched so far, so that a test can prove that the kernels were reached.
JAXTV_EMULATOR_EXPORT uint64_t jaxtv_emulator_num_launches();

// How often the host has waited for a stream.
JAXTV_EMULATOR_EXPORT uint64_t jaxtv_emulator_num_waits();

JAXTV_EMULATOR_EXPORT void jaxtv_emulator_lock();
JAXTV_EMULATOR_EXPORT void jaxtv_emulator_unlock();

}  // extern "C"

namespace jaxtv::emulator {

// Registers the buffers of one handler call and serialises it with all others: XLA may run
// handlers on several threads, and two calls may share an input.
//
// A `Buffer` is anything with untyped_data() and size_bytes(), such as ffi::AnyBuffer.
class CallScope {
 public:
  CallScope() { jaxtv_emulator_lock(); }
  ~CallScope() {
    for (const void* data : registered_) jaxtv_emulator_unregister(data);
    for (void* data : scratch_) std::free(data);
    jaxtv_emulator_unlock();
  }
  CallScope(const CallScope&) = delete;
  CallScope& operator=(const CallScope&) = delete;

  void Add(const void* data, size_t bytes, JaxtvEmulatorAccess access, const char* name) {
    if (data == nullptr || bytes == 0) return;
    jaxtv_emulator_register(data, bytes, access, name);
    registered_.push_back(data);
  }

  template <typename Buffer>
  void Input(const Buffer& buffer, const char* name) {
    Add(buffer.untyped_data(), buffer.size_bytes(), kJaxtvInput, name);
  }
  template <typename Buffer>
  void Output(const Buffer& buffer, const char* name) {
    Add(buffer.untyped_data(), buffer.size_bytes(), kJaxtvOutput, name);
  }

  // Stands in for ffi::ScratchAllocator, which XLA's CPU platform does not offer. The memory
  // counts as uninitialised and lives as long as the scope.
  void* Scratch(size_t bytes, const char* name) {
    void* data = std::aligned_alloc(256, (bytes + 256) / 256 * 256);
    scratch_.push_back(data);
    Add(data, bytes, kJaxtvOutput, name);
    return data;
  }

 private:
  std::vector<const void*> registered_;
  std::vector<void*> scratch_;
};

}  // namespace jaxtv::emulator

#endif  // JAXTV_TESTS_CUDA_EMULATOR_EMULATOR_H_
