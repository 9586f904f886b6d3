// SPDX-License-Identifier: MIT
// Large memory that is kept from call to call.
//
// The kernel clears a page when it is first touched. On virtual machines that was measured to take
// 0.1 to 0.4 ms for a mebibyte, as long as some sweeps over an image of that size. So memory that
// is freed is kept, up to a limit, but marked as free: where memory is short the kernel takes it
// back, and where it is not, the next call finds its pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace jaxtv {

#if defined(__linux__) && defined(MADV_HUGEPAGE) && defined(MADV_FREE)
#define JAXTV_KEEPS_PAGES

class KeptPages {
 public:
  explicit KeptPages(int64_t limit) : limit_(limit) {
    blocks_.reserve(size_t(limit / kPage + 1));  // so that giving never needs memory
  }

  ~KeptPages() {
    while (!blocks_.empty()) std::free(Remove(0));
  }

  // At least so many bytes, in large pages, as each page has its fault; null where there is none.
  void* Take(int64_t bytes) {
    bytes = WholePages(bytes);
    if (void* const kept = Find(bytes)) return kept;
    void* const memory = std::aligned_alloc(size_t(kPage), size_t(bytes));
    if (memory != nullptr) madvise(memory, size_t(bytes), MADV_HUGEPAGE);
    return memory;
  }

  // Takes back what Take gave for so many bytes. What has been kept longest makes room for it.
  void Give(void* memory, int64_t bytes) {
    bytes = WholePages(bytes);
    madvise(memory, size_t(bytes), MADV_FREE);
    const std::lock_guard<std::mutex> lock(mutex_);
    blocks_.push_back({memory, bytes});
    kept_ += bytes;
    while (kept_ > limit_) std::free(Remove(0));
  }

 private:
  static constexpr int64_t kPage = int64_t(1) << 21;

  struct Block {
    void* memory;
    int64_t bytes;
  };

  static int64_t WholePages(int64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

  // The block of this size that was given last, whose pages are the likeliest to be there.
  void* Find(int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (size_t i = blocks_.size(); i-- > 0;) {
      if (blocks_[i].bytes == bytes) return Remove(i);
    }
    return nullptr;
  }

  void* Remove(size_t i) {
    const Block block = blocks_[i];
    blocks_.erase(blocks_.begin() + int64_t(i));
    kept_ -= block.bytes;
    return block.memory;
  }

  const int64_t limit_;
  std::mutex mutex_;
  std::vector<Block> blocks_;  // in the order in which they were given
  int64_t kept_ = 0;
};

#endif

}  // namespace jaxtv
