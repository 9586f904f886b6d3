// SPDX-License-Identifier: MIT
//
// Fibers: one stack per CUDA thread, switched in user space.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_SRC_FIBER_H_
#define JAXTV_TESTS_CUDA_EMULATOR_SRC_FIBER_H_

#include <ucontext.h>

#include <cstddef>
#include <memory>

namespace jaxtv::emulator {

enum class FiberBackend { kAssembler = 0, kUcontext = 1 };
#if defined(__x86_64__)
constexpr FiberBackend kDefaultFiberBackend = FiberBackend::kAssembler;
#else
constexpr FiberBackend kDefaultFiberBackend = FiberBackend::kUcontext;
#endif

// A stack and the place where its execution rests. The default fiber stands for the stack of the
// operating-system thread itself.
class Fiber {
 public:
  // Makes the next switch here call `entry`, which must never return, on the given stack.
  void Start(char* stack, size_t stack_bytes, void (*entry)(), FiberBackend backend);

  // Saves the running context in `from` and continues `to`.
  static void Switch(Fiber& from, Fiber& to, FiberBackend backend);

  // To be called first on a fresh stack, as the second half of the switch that led there.
  static void AfterFirstSwitch(Fiber& from);

 private:
  void* stack_pointer_ = nullptr;
  std::unique_ptr<ucontext_t> context_;
  const char* stack_ = nullptr;
  size_t stack_bytes_ = 0;
};

// Equal stacks in one mapping, each above a guard page that turns an overflow into a fault.
class StackPool {
 public:
  explicit StackPool(int count);
  ~StackPool();
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  char* stack(int i) const;
  bool Contains(const void* address) const {
    return address >= base_ && address < base_ + total_bytes_;
  }
  // Forgets what AddressSanitizer knows of frames that were abandoned on the stacks.
  void Clean(int first, int count) const;

#if defined(__SANITIZE_ADDRESS__)
  static constexpr size_t kStackBytes = 256 * 1024;
#else
  static constexpr size_t kStackBytes = 64 * 1024;
#endif

 private:
  char* base_;
  size_t total_bytes_;
};

}  // namespace jaxtv::emulator

#endif  // JAXTV_TESTS_CUDA_EMULATOR_SRC_FIBER_H_
