// SPDX-License-Identifier: MIT
// Runs the CPU kernels as the handlers do: several calls at once that share one pool of threads,
// and lines beyond 2^31 elements of an array; built with sanitizers by tests/test_sanitizers.py.
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "cpu/images/solve.h"
#include "cpu/lines/long/prox.h"
#include "cpu/lines/long/pull_back.h"
#include "cpu/lines/prox_lines.h"
#include "cpu/lines/pull_back_lines.h"

namespace jaxtv {
// One instruction set is enough here.
namespace avx2 {
const LaneSet& Kernels() { return portable::Kernels(); }
const PixelSet& Pixels() { return portable::Pixels(); }
}  // namespace avx2
namespace avx512 {
const LaneSet& Kernels() { return portable::Kernels(); }
const PixelSet& Pixels() { return portable::Pixels(); }
}  // namespace avx512
}  // namespace jaxtv

namespace {

using jaxtv::Lines;
using jaxtv::WeightLayout;

// Threads that take tasks from one queue, as XLA's pool does.
class Pool {
 public:
  explicit Pool(int64_t threads) {
    for (int64_t t = 0; t < threads; ++t) running_.emplace_back([this] { Work(); });
  }
  ~Pool() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
    for (std::thread& t : running_) t.join();
  }
  int64_t num_threads() const { return int64_t(running_.size()); }
  void Schedule(std::function<void()>&& task) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }

 private:
  void Work() {
    for (;;) {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [&] { return closed_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool closed_ = false;
  std::vector<std::thread> running_;
};

std::vector<float> Walk(int64_t n, int seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  float at = 0;
  for (float& v : x) v = at += normal(random);
  return x;
}

// The prox of short lines side by side, and x pulled back through it.
template <typename AnyPool>
std::vector<float> ShortLines(AnyPool& pool, int seed) {
  const Lines lines{3, 60, 50};
  const std::vector<float> x = Walk(3 * 60 * 50, seed);
  const float lam = 2;
  std::vector<float> y(x.size()), x_bar(x.size()), lam_bar(lines.count());
  jaxtv::ParallelFor(pool, lines.count(), 16, [&](int64_t begin, int64_t end) {
    jaxtv::ProxLines<float>(lines, {}, x.data(), &lam, y.data(), begin, end);
  });
  jaxtv::ParallelFor(pool, lines.count(), 16, [&](int64_t begin, int64_t end) {
    jaxtv::PullBackLines<float>({lines, {}, y.data(), &lam, x.data(), x_bar.data(), lam_bar.data()},
                                begin, end);
  });
  y.insert(y.end(), x_bar.begin(), x_bar.end());
  y.insert(y.end(), lam_bar.begin(), lam_bar.end());
  return y;
}

// The same of one long line.
template <typename AnyPool>
std::vector<float> LongLine(AnyPool& pool, int seed) {
  const Lines lines{1, 70000, 1};
  const std::vector<float> x = Walk(lines.length, seed);
  const float lam = 5;
  std::vector<float> y(x.size()), x_bar(x.size()), lam_bar(1);
  jaxtv::ProxLongLines<AnyPool, float>(pool, lines, {}, x.data(), &lam, y.data(), 0, 1);
  jaxtv::PullBackLongLines<AnyPool, float>(
      pool, {lines, {}, y.data(), &lam, x.data(), x_bar.data(), lam_bar.data()});
  y.insert(y.end(), x_bar.begin(), x_bar.end());
  y.insert(y.end(), lam_bar.begin(), lam_bar.end());
  return y;
}

// The prox of an image.
template <typename AnyPool>
std::vector<float> OneImage(AnyPool& pool, int seed) {
  const jaxtv::Image image{{90, 200}};
  const std::vector<float> x = Walk(image.pixels(), seed);
  const float lam = 1;
  const std::vector<jaxtv::AxisWeights<float>> weights(2, {&lam, 0});
  const auto run = [&](int64_t items, const auto& body) {
    jaxtv::ParallelFor(pool, items, 1, body);
  };
  std::vector<float> y(x.size());
  jaxtv::SolveImage<float>(run, image, weights, x.data(), jaxtv::Goal{1e-3, 0}, 20, {}, y.data());
  return y;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Calls made at once from several threads, which share a pool, give what one thread gives.
int CheckCallsAtOnce() {
  Pool pool(3);
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (int seed = 0; seed < 4; ++seed) {
    callers.emplace_back([&, seed] {
      jaxtv::ThisThread alone;
      wrong += !SameBits(ShortLines(pool, seed), ShortLines(alone, seed));
      wrong += !SameBits(LongLine(pool, seed), LongLine(alone, seed));
      wrong += !SameBits(OneImage(pool, seed), OneImage(alone, seed));
    });
  }
  for (std::thread& t : callers) t.join();
  return wrong;
}

// Address space without memory: a page becomes real when it is touched.
float* Reserve(int64_t elements) {
  void* memory = mmap(nullptr, size_t(elements) * sizeof(float), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<float*>(memory);
}

// The last lines of an array of 2 * 3 * (2^31 + 5) elements, each with a weight of its own.
int CheckFarLines() {
  const int64_t inner = (int64_t(1) << 31) + 5, count = 2 * inner, some = 40;
  const Lines lines{2, 3, inner};
  WeightLayout weights;
  weights.rank = 1;
  weights.size[0] = count;
  weights.stride[0] = 1;
  float *x = Reserve(6 * inner), *lam = Reserve(count), *y = Reserve(6 * inner),
        *mean = Reserve(6 * inner);
  if (!x || !lam || !y || !mean) {
    std::printf("no address space for an array beyond 2^31 elements\n");
    return 0;
  }
  int wrong = 0;
  // Across the border of the first block, and at the end.
  for (const int64_t begin : {inner - some / 2, count - some}) {
    for (int64_t l = begin; l < begin + some; ++l) {
      float* first = x + l / inner * 3 * inner + l % inner;
      first[0] = first[inner] = 0;
      first[2 * inner] = 9 + float(l % 7);
      lam[l] = 1 + float(l % 3);
    }
    jaxtv::ProxLines<float>(lines, weights, x, lam, y, begin, begin + some);
    jaxtv::RunMeanLines<float>(lines, y, x, mean, begin, begin + some);
    for (int64_t l = begin; l < begin + some; ++l) {
      // Two samples rise by lam / 2 each, the third falls by lam.
      const int64_t at = l / inner * 3 * inner + l % inner;
      const float w = 1 + float(l % 3), top = 9 + float(l % 7);
      wrong += y[at] != w / 2 || y[at + inner] != w / 2 || y[at + 2 * inner] != top - w;
      wrong += mean[at] != 0 || mean[at + inner] != 0 || mean[at + 2 * inner] != top;
    }
  }
  munmap(x, size_t(6 * inner) * sizeof(float));
  munmap(y, size_t(6 * inner) * sizeof(float));
  munmap(mean, size_t(6 * inner) * sizeof(float));
  munmap(lam, size_t(count) * sizeof(float));
  return wrong;
}

}  // namespace

int main() {
  const int calls = CheckCallsAtOnce(), far = CheckFarLines();
  std::printf("%d wrong calls at once, %d wrong far lines\n", calls, far);
  return calls + far != 0;
}
