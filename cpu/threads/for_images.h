// SPDX-License-Identifier: MIT
// The images of a call, solved one on each thread or, where they are few, each on all threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <new>

#include "cpu/threads/parallel_for.h"
#include "xla/ffi/api/ffi.h"

namespace jaxtv {

// Runs a loop, shared over the threads of a pool or on this thread alone. An exception in the body
// of a loop is thrown again to the caller.
class SharedLoop {
 public:
  SharedLoop(xla::ffi::ThreadPool& pool, bool shared) : pool_(shared ? &pool : nullptr) {}

  bool shared() const { return pool_ != nullptr; }

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
      } catch (...) {  // no body throws anything but bad_alloc
        failed = true;
      }
    });
    if (failed) throw std::bad_alloc();
  }

 private:
  xla::ffi::ThreadPool* pool_;
};

// Calls solve(run, i) for each image i; `run` shares the loops within it. Many images keep all
// threads busy with one each.
template <typename Solve>
void ForImages(xla::ffi::ThreadPool& pool, int64_t count, const Solve& solve) {
  const SharedLoop inside(pool, count < 4 * int64_t(pool.num_threads()));
  SharedLoop(pool, true)(count, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) solve(inside, i);
  });
}

}  // namespace jaxtv
