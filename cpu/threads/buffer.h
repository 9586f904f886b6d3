// SPDX-License-Identifier: MIT
// An array of numbers that are not initialised.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace jaxtv {

template <typename T>
class Buffer {
 public:
  Buffer() : data_(nullptr, std::free) {}

  explicit Buffer(int64_t size)
      : data_(static_cast<T*>(Allocate(size_t(size) * sizeof(T))), std::free) {
    if (!data_) throw std::bad_alloc();
  }

  static Buffer Zeros(int64_t size) {
    Buffer zeros(size);
    std::memset(zeros.data(), 0, size_t(size) * sizeof(T));
    return zeros;
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](int64_t k) { return data_.get()[k]; }
  const T& operator[](int64_t k) const { return data_.get()[k]; }
  void swap(Buffer& other) { data_.swap(other.data_); }

 private:
  // Large arrays ask for large pages, since each page costs a fault when it is first touched.
  static void* Allocate(size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    constexpr size_t kPage = size_t(1) << 21;
    if (bytes >= kPage / 2) {
      bytes = (bytes + kPage - 1) / kPage * kPage;
      void* memory = std::aligned_alloc(kPage, bytes);
      if (memory != nullptr) madvise(memory, bytes, MADV_HUGEPAGE);
      return memory;
    }
#endif
    return std::malloc(bytes > 0 ? bytes : 1);
  }

  std::unique_ptr<T[], decltype(&std::free)> data_;
};

}  // namespace jaxtv
