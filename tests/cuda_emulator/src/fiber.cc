// SPDX-License-Identifier: MIT
#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <pthread.h>
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// Only the registers that the System V ABI preserves across calls need to survive a switch. Unlike
// swapcontext this makes no system call, which is most of its cost.
asm(R"(
.text
.p2align 4
.globl jaxtv_emulator_switch_stack
.hidden jaxtv_emulator_switch_stack
.type jaxtv_emulator_switch_stack, @function
jaxtv_emulator_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size jaxtv_emulator_switch_stack, .-jaxtv_emulator_switch_stack
)");
extern "C" void jaxtv_emulator_switch_stack(void** save, void* load);
#endif

namespace jaxtv::emulator {
namespace {

constexpr size_t kGuardBytes = 4096;

}  // namespace

void Fiber::Start(char* stack, size_t stack_bytes, void (*entry)(), FiberBackend backend) {
  stack_ = stack;
  stack_bytes_ = stack_bytes;
#if defined(__x86_64__)
  if (backend == FiberBackend::kAssembler) {
    // From the top: an end mark for debuggers, the address of `entry`, six registers. The ABI wants
    // the stack pointer 8 below a multiple of 16 at the first instruction of a function.
    auto* top = reinterpret_cast<void**>(stack + stack_bytes);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    stack_pointer_ = top;
    return;
  }
#endif
  if (!context_) context_ = std::make_unique<ucontext_t>();
  getcontext(context_.get());
  context_->uc_stack.ss_sp = stack;
  context_->uc_stack.ss_size = stack_bytes;
  context_->uc_link = nullptr;
  makecontext(context_.get(), entry, 0);
}

void Fiber::Switch(Fiber& from, Fiber& to, FiberBackend backend) {
#if defined(__SANITIZE_ADDRESS__)
  if (from.stack_ == nullptr) {
    pthread_attr_t attributes;
    void* stack;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &stack, &from.stack_bytes_);
    pthread_attr_destroy(&attributes);
    from.stack_ = static_cast<const char*>(stack);
  }
  void* fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&fake_stack, to.stack_, to.stack_bytes_);
#endif
#if defined(__x86_64__)
  if (backend == FiberBackend::kAssembler) {
    jaxtv_emulator_switch_stack(&from.stack_pointer_, to.stack_pointer_);
  } else  // NOLINT(readability/braces)
#endif
  {
    if (!from.context_) from.context_ = std::make_unique<ucontext_t>();
    swapcontext(from.context_.get(), to.context_.get());
  }
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  static_cast<void>(backend);
}

void Fiber::AfterFirstSwitch(Fiber& from) {
#if defined(__SANITIZE_ADDRESS__)
  const void* stack;
  __sanitizer_finish_switch_fiber(nullptr, &stack, &from.stack_bytes_);
  from.stack_ = static_cast<const char*>(stack);
#else
  static_cast<void>(from);
#endif
}

StackPool::StackPool(int count) : total_bytes_(count * (kStackBytes + kGuardBytes)) {
  void* base = mmap(nullptr, total_bytes_, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<char*>(base);
  for (int i = 0; i < count; ++i) mprotect(stack(i) - kGuardBytes, kGuardBytes, PROT_NONE);
}

StackPool::~StackPool() { munmap(base_, total_bytes_); }

char* StackPool::stack(int i) const {
  return base_ + static_cast<size_t>(i) * (kStackBytes + kGuardBytes) + kGuardBytes;
}

void StackPool::Clean(int first, int count) const {
#if defined(__SANITIZE_ADDRESS__)
  for (int i = first; i < first + count; ++i) __asan_unpoison_memory_region(stack(i), kStackBytes);
#else
  static_cast<void>(first), static_cast<void>(count);
#endif
}

}  // namespace jaxtv::emulator
