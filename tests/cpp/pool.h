// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

// As XLA's pool: tasks run on other threads, some of them late.
class Pool {
 public:
  explicit Pool(int64_t threads) : threads_(threads) {}
  ~Pool() {
    for (std::thread& t : running_) t.join();
  }
  int64_t num_threads() const { return threads_; }
  void Schedule(std::function<void()>&& task) { running_.emplace_back(std::move(task)); }

 private:
  int64_t threads_;
  std::vector<std::thread> running_;
};
