// SPDX-License-Identifier: MIT
// Memory for one thread's work.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "cpu/threads/kept_pages.h"

namespace jaxtv {

constexpr int64_t kLargeMemory = int64_t(1) << 20;

#if defined(JAXTV_KEEPS_PAGES)
inline KeptPages& PagesOfProcess() {
  constexpr int64_t kLimit = int64_t(1) << 29;
  static KeptPages* const pages = new KeptPages(kLimit);  // outlives all threads
  return *pages;
}
#endif

// Gives memory back to where it came from.
struct Release {
  int64_t bytes = 0;

  void operator()(void* memory) const {
#if defined(JAXTV_KEEPS_PAGES)
    if (bytes >= kLargeMemory) return PagesOfProcess().Give(memory, bytes);
#endif
    std::free(memory);
  }
};

using Memory = std::unique_ptr<void, Release>;

// Memory that is not initialised; null where there is none.
inline Memory Allocate(int64_t bytes) {
#if defined(JAXTV_KEEPS_PAGES)
  if (bytes >= kLargeMemory) return {PagesOfProcess().Take(bytes), {bytes}};
#endif
  return {std::malloc(size_t(bytes > 0 ? bytes : 1)), {bytes}};
}

// The same, aligned as the widest vectors.
inline Memory AllocateVectors(int64_t bytes) {
  constexpr int64_t kAlign = 64;
#if defined(JAXTV_KEEPS_PAGES)
  if (bytes >= kLargeMemory) return Allocate(bytes);
#endif
#if defined(_MSC_VER)  // no vectors
  return Allocate(bytes);
#else
  return {std::aligned_alloc(kAlign, size_t(bytes + kAlign - 1) / kAlign * kAlign), {bytes}};
#endif
}

// The same, of this thread, which keeps it for its next call: not for large memory.
inline void* ThreadMemory(int64_t bytes) {
  thread_local Memory memory;
  if (!memory || memory.get_deleter().bytes < bytes) {
    memory.reset();
    memory = AllocateVectors(bytes);
  }
  return memory.get();
}

inline Memory AllocateZeros(int64_t bytes) {
  Memory memory = Allocate(bytes);
  if (memory) std::memset(memory.get(), 0, size_t(bytes));
  return memory;
}

}  // namespace jaxtv
