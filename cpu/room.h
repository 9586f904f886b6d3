// SPDX-License-Identifier: MIT
// Memory for arrays of numbers, not initialised.
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
class Room {
 public:
  Room() : data_(nullptr, std::free) {}

  explicit Room(int64_t size) : data_(static_cast<T*>(Take(size_t(size) * sizeof(T))), std::free) {
    if (!data_) throw std::bad_alloc();
  }

  static Room Zeros(int64_t size) {
    Room room(size);
    std::memset(room.data(), 0, size_t(size) * sizeof(T));
    return room;
  }

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  T& operator[](int64_t k) { return data_.get()[k]; }
  const T& operator[](int64_t k) const { return data_.get()[k]; }
  void swap(Room& other) { data_.swap(other.data_); }

 private:
  // Large arrays ask for large pages: each small one costs a fault when it is touched first.
  static void* Take(size_t bytes) {
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
