// SPDX-License-Identifier: MIT
// A loop whose iterations the threads of XLA's pool share.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace jaxtv {

// Calls body(begin, end) on blocks of at most `grain` items that together cover [0, items). `body`
// must not throw.
//
// The caller works too, and waits only for blocks that some thread has begun. So a handler that
// itself runs on the only thread of the pool does not wait for ever, and a task that the pool
// starts late finds no block left. Blocks do not depend on the number of threads, so neither do
// results.
template <typename Pool, typename Body>
void ParallelFor(Pool& pool, int64_t items, int64_t grain, const Body& body) {
  const int64_t blocks = (items + grain - 1) / grain;
  const int64_t helpers = std::min<int64_t>(int64_t(pool.num_threads()) - 1, blocks - 1);
  if (helpers <= 0) {
    if (items > 0) body(int64_t(0), items);
    return;
  }

  struct Progress {
    std::atomic<int64_t> next{0};
    int64_t done = 0;  // guarded by `mutex`
    std::mutex mutex;
    std::condition_variable all_done;
  };
  auto progress = std::make_shared<Progress>();  // late tasks outlive this frame; `body` does not,
  auto work = [progress, body = &body, items, grain, blocks] {  // but they never touch it
    int64_t finished = 0;
    for (int64_t b; (b = progress->next.fetch_add(1, std::memory_order_relaxed)) < blocks;) {
      (*body)(b* grain, std::min(items, (b + 1) * grain));
      ++finished;
    }
    if (finished == 0) return;
    std::lock_guard<std::mutex> lock(progress->mutex);
    progress->done += finished;
    if (progress->done == blocks) progress->all_done.notify_all();
  };
  for (int64_t i = 0; i < helpers; ++i) {
    auto task = work;
    pool.Schedule(std::move(task));
  }
  work();
  std::unique_lock<std::mutex> lock(progress->mutex);
  progress->all_done.wait(lock, [&] { return progress->done == blocks; });
}

// A pool without threads of its own: loops run on the thread that calls.
struct ThisThread {
  int num_threads() const { return 1; }
  template <typename Task>
  void Schedule(const Task&) const {}
};

}  // namespace jaxtv
