// SPDX-License-Identifier: MIT
// Memory for one thread's work that does without it, or does less, where there is none.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace jaxtv {

using Memory = std::unique_ptr<void, decltype(&std::free)>;

// Memory aligned as the widest vectors; null where there is none.
inline Memory AllocateVectors(int64_t bytes) {
  constexpr int64_t kAlign = 64;
#if defined(_MSC_VER)  // no vectors
  return {std::malloc(size_t(bytes)), std::free};
#else
  return {std::aligned_alloc(kAlign, size_t(bytes + kAlign - 1) / kAlign * kAlign), std::free};
#endif
}

}  // namespace jaxtv
