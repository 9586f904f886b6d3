// SPDX-License-Identifier: MIT
//
// The calls through which kernels reach the runtime.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CALLS_H_
#define JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CALLS_H_

#include <cstddef>
#include <cstdint>

namespace jaxtv::emulator {

// Where in the kernel source a call stands. As a default argument, Here() gives its caller's place.
struct Site {
  const char* file = nullptr;
  int line = 0;
  static constexpr Site Here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return Site{file, line};
  }
};

enum class Barrier { kPlain, kCount, kAnd, kOr };
enum class WarpOp {
  kSync,
  kShuffle,
  kBallot,
  kAny,
  kAll,
  kMatchAny,
  kMatchAll,
  kAddSigned,
  kMinSigned,
  kMaxSigned,
  kMinUnsigned,
  kMaxUnsigned,
  kAnd,
  kOr,
  kXor
};
enum class Shuffle { kIndex, kUp, kDown, kXor };
enum class Fence { kBlock, kDevice };
enum class Atomic { kLoad, kStore, kUpdate };

int BlockBarrier(Barrier kind, int predicate, Site site);
uint64_t WarpCollective(WarpOp op, unsigned mask, uint64_t operand, Site site);
uint64_t WarpShuffle(Shuffle kind, unsigned mask, uint64_t operand, int argument, int width,
                     Site site);
void MemoryFence(Fence scope, Site site);
void BeforeAtomic(void* address, size_t bytes, Site site, Atomic kind = Atomic::kUpdate);
void AfterAtomic();
void Yield();
void* DynamicShared();
[[noreturn]] void Trap(Site site);
bool KeepSynchronisation(int number);

}  // namespace jaxtv::emulator

// Dynamic shared memory of the running block.
#define JAXTV_DYNAMIC_SHARED(type, name) \
  type* const name = static_cast<type*>(::jaxtv::emulator::DynamicShared())

// Addresses in the shared window count from the block's dynamic memory.
inline size_t __cvta_generic_to_shared(const void* place) {
  return static_cast<const char*>(place) -
         static_cast<const char*>(::jaxtv::emulator::DynamicShared());
}
inline void* __cvta_shared_to_generic(size_t address) {
  return static_cast<char*>(::jaxtv::emulator::DynamicShared()) + address;
}

#endif  // JAXTV_TESTS_CUDA_EMULATOR_INCLUDE_CALLS_H_
