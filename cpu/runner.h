// SPDX-License-Identifier: MIT
// Shares the work of a handler over XLA's thread pool, either over its images or within each.
#pragma once

#include <atomic>
#include <cstdint>
#include <new>

#include "cpu/parallel.h"
#include "xla/ffi/api/ffi.h"

namespace jaxtv {

// Shares work over a thread pool, or does all of it. An exception comes out where it was called.
class Runner {
 public:
  Runner(xla::ffi::ThreadPool& pool, bool shared) : pool_(shared ? &pool : nullptr) {}

  template <typename Body>
  void operator()(int64_t items, const Body& body) const {
    if (pool_ == nullptr) {
      if (items > 0) body(int64_t(0), items);
      return;
    }
    std::atomic<bool> failed{false};
    ParallelFor(*pool_, items, 1, [&](int64_t begin, int64_t end) {
      try {
        body(begin, end);
      } catch (...) {  // only memory can run out
        failed = true;
      }
    });
    if (failed) throw std::bad_alloc();
  }

 private:
  xla::ffi::ThreadPool* pool_;
};

// Calls solve(run, image) for each image. Many images keep all threads busy with one each.
template <typename Solve>
void ForImages(xla::ffi::ThreadPool& pool, int64_t count, const Solve& solve) {
  const Runner inside(pool, count < 4 * int64_t(pool.num_threads()));
  Runner(pool, true)(count, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) solve(inside, i);
  });
}

}  // namespace jaxtv
