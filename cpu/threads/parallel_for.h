// SPDX-License-Identifier: MIT
// A loop whose iterations the threads of XLA's pool share.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

namespace jaxtv {

// Waits a moment, some 20 to 50 ns.
inline void Pause() {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

// Calls body(begin, end) on blocks of at most `grain` items that together cover [0, items). `body`
// must not throw.
//
// The caller works too, and waits only for blocks that some thread has begun. So a handler that
// itself runs on the only thread of the pool does not wait for ever, and a task that the pool
// starts late finds no block left. Blocks do not depend on the number of threads, so neither do
// results.
//
// A thread that is woken on the processor of the caller, as virtual machines often do though
// another one is idle, waits there for its turn. So if none has begun when the caller has done its
// first block, one more is woken.
//
// Before it sleeps, the caller looks for about as long as sleep would cost whether all is done. A
// sleeper is often woken on the processor of the thread that wakes it, where both go on by turns.
template <typename Pool, typename Body>
void ParallelFor(Pool& pool, int64_t items, int64_t grain, const Body& body) {
  const int64_t blocks = (items + grain - 1) / grain;
  const int64_t helpers = std::min<int64_t>(int64_t(pool.num_threads()) - 1, blocks - 1);
  if (helpers <= 0) {
    if (items > 0) body(int64_t(0), items);
    return;
  }

  struct Progress {
    std::atomic<int64_t> next{0}, done{0};
    std::atomic<bool> helped{false};
    std::mutex mutex;
    std::condition_variable all_done;
  };
  // Late tasks outlive this frame; `body` does not, but they never touch it.
  auto progress = std::make_shared<Progress>();
  const auto take_block = [progress, body = &body, items, grain, blocks] {
    const int64_t b = progress->next.fetch_add(1, std::memory_order_relaxed);
    if (b >= blocks) return false;
    (*body)(b* grain, std::min(items, (b + 1) * grain));
    if (++progress->done < blocks) return true;
    // Once this is locked, the caller sleeps or has seen that it need not.
    std::lock_guard<std::mutex> lock(progress->mutex);
    progress->all_done.notify_all();
    return false;
  };
  const auto wake_one = [&pool, progress, take_block] {
    pool.Schedule([progress, take_block] {
      progress->helped.store(true, std::memory_order_relaxed);
      while (take_block()) continue;
    });
  };
  for (int64_t i = 0; i < helpers; ++i) wake_one();
  if (take_block() && !progress->helped) wake_one();
  while (take_block()) continue;
  constexpr int kLooks = 2000;
  const auto all_done = [&] { return progress->done == blocks; };
  for (int i = 0; i < kLooks && !all_done(); ++i) Pause();
  std::unique_lock<std::mutex> lock(progress->mutex);
  progress->all_done.wait(lock, all_done);
}

// A pool without threads of its own: loops run on the thread that calls.
struct ThisThread {
  int num_threads() const { return 1; }
  template <typename Task>
  void Schedule(const Task&) const {}
};

}  // namespace jaxtv
