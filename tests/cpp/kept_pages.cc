// SPDX-License-Identifier: MIT
// Is memory kept, up to the limit, and freed beyond it? Built with the address sanitizer, which
// knows what is freed, by tests/test_sanitizers.py.
#include "cpu/threads/kept_pages.h"

#include <sanitizer/asan_interface.h>

#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

namespace {

int wrong = 0;

void Expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("not so: %s\n", what);
  ++wrong;
}

#if defined(JAXTV_KEEPS_PAGES)
constexpr int64_t kPage = int64_t(1) << 21;

bool Freed(void* memory) { return __asan_address_is_poisoned(memory) != 0; }

void KeepsUpToTheLimit() {
  jaxtv::KeptPages pages(6 * kPage);
  void *one = pages.Take(kPage - 7), *two = pages.Take(2 * kPage), *three = pages.Take(3 * kPage);
  std::memset(three, 1, size_t(3 * kPage));
  pages.Give(one, kPage - 7);
  pages.Give(two, 2 * kPage);
  pages.Give(three, 3 * kPage);
  Expect(!Freed(one) && !Freed(two) && !Freed(three), "all within the limit is kept");
  Expect(pages.Take(3 * kPage) == three && pages.Take(kPage) == one, "what is kept is taken again");

  void* const four = pages.Take(4 * kPage);
  pages.Give(three, 3 * kPage);
  pages.Give(four, 4 * kPage);
  Expect(Freed(two) && Freed(three) && !Freed(four), "what was kept longest makes room");
  void* const seven = pages.Take(7 * kPage);
  pages.Give(seven, 7 * kPage);
  Expect(Freed(four) && Freed(seven), "more than the limit is not kept");
  pages.Give(one, kPage);
  Expect(pages.Take(kPage) == one, "there is room again");
  std::free(one);
}

// Each thread finds its own numbers in the memory that it has.
void SharesNothing() {
  jaxtv::KeptPages pages(3 * kPage);
  std::vector<std::thread> threads;
  std::vector<int> found(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pages, &found, t] {
      for (int round = 0; round < 50; ++round) {
        const int64_t bytes = (1 + (round + t) % 2) * kPage;
        int* const memory = static_cast<int*>(pages.Take(bytes));
        for (int64_t k = 0; k < 1000; ++k) memory[k] = t;
        for (int64_t k = 0; k < 1000; ++k) found[size_t(t)] += memory[k] == t;
        pages.Give(memory, bytes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const int count : found) Expect(count == 50 * 1000, "no two threads have the same memory");
}
#endif

}  // namespace

int main() {
#if defined(JAXTV_KEEPS_PAGES)
  KeepsUpToTheLimit();
  SharesNothing();
#endif
  return wrong;
}
