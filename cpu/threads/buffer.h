// SPDX-License-Identifier: MIT
// An array of numbers that are not initialised.
#pragma once

#include <cstdint>
#include <cstring>
#include <new>

#include "cpu/threads/memory.h"

namespace jaxtv {

template <typename T>
class Buffer {
 public:
  Buffer() = default;

  explicit Buffer(int64_t size) : memory_(Allocate(size * int64_t(sizeof(T)))) {
    if (!memory_) throw std::bad_alloc();
  }

  static Buffer Zeros(int64_t size) {
    Buffer zeros(size);
    std::memset(zeros.data(), 0, size_t(size) * sizeof(T));
    return zeros;
  }

  T* data() { return static_cast<T*>(memory_.get()); }
  const T* data() const { return static_cast<const T*>(memory_.get()); }
  T& operator[](int64_t k) { return data()[k]; }
  const T& operator[](int64_t k) const { return data()[k]; }
  void swap(Buffer& other) { memory_.swap(other.memory_); }

 private:
  Memory memory_;
};

}  // namespace jaxtv
