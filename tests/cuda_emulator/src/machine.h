// SPDX-License-Identifier: MIT
//
// The state of the one emulated device: settings, the running launch, and the running block.
// Guarded by the launch lock, except while the fibers of a launch run, which holds that lock.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_SRC_MACHINE_H_
#define JAXTV_TESTS_CUDA_EMULATOR_SRC_MACHINE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fiber.h"
#include "jaxtv_emulator/calls.h"
#include "jaxtv_emulator/host_api.h"

namespace jaxtv::emulator {

constexpr int kMaxThreads = 1024;
constexpr int kWarpSize = 32;
constexpr size_t kDefaultDynamicBytes = 48 * 1024;
constexpr size_t kMaxDynamicBytes = 227 * 1024;

enum class Order { kForward = 0, kReverse = 1, kRandom = 2 };

struct Settings {
  Order order = Order::kForward;
  uint64_t seed = 0;
  int poison = 0xff;
  FiberBackend fibers = kDefaultFiberBackend;
  int mutant = -1;
};

enum class ThreadState : uint8_t { kReady, kYielded, kAtBarrier, kAtWarpOp, kExited };

struct Thread {
  Fiber fiber;
  uint3 index{};
  ThreadState state = ThreadState::kExited;
  int num_yields = 0;
  // The collective operation that the thread waits in.
  Site site;
  WarpOp op{};
  Barrier barrier{};
  unsigned mask = 0;
  int source_lane = 0;
  uint64_t operand = 0;
  uint64_t result = 0;
};

// splitmix64: small, and the same on every platform.
class Random {
 public:
  void Seed(uint64_t seed) { state_ = seed; }
  uint32_t Below(uint32_t bound) {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<uint32_t>((z ^ (z >> 31)) % bound);
  }

 private:
  uint64_t state_ = 0;
};

struct Machine {
  Settings settings;
  Random random;
  std::unique_ptr<StackPool> stacks;
  char* dynamic_shared = nullptr;  // kMaxDynamicBytes

  KernelCall call{};
  size_t dynamic_bytes = 0;
  uint64_t num_launches = 0;
  uint32_t block_number = 0;

  std::vector<Thread> threads;
  int num_threads = 0;
  Thread* current = nullptr;  // null while no kernel code runs
  Fiber scheduler;
  int num_arrived = 0;  // at the block barrier
  Thread* first_arrived = nullptr;
  int barrier_result = 0;

  cudaError_t error = cudaSuccess;
  std::string report;

  int RankOf(const Thread& thread) const { return static_cast<int>(&thread - threads.data()); }
};

Machine& TheMachine();

// Fills `order` with a permutation of 0 .. count-1 as the settings ask.
void DrawOrder(int count, std::vector<int>& order);

// Runs every thread of the block to its end. False if the launch has failed.
bool RunBlock();

// Gives the processor to the scheduler; returns when the running thread is resumed.
void SwitchToScheduler();

// Records an error that ends the launch. Does not return when called by a kernel.
void Fail(cudaError_t error, const std::string& message);

// Resolves the operations of the warp that wait only for `thread`, which has just exited.
void AfterExitFromWarp(const Thread& thread);

// Says who waits where, when no thread can continue.
std::string DescribeDeadlock();

std::string Describe(const Site& site);
std::string Describe(const uint3& index);
std::string DescribeOp(const Thread& thread);
std::string KernelName();

}  // namespace jaxtv::emulator

#endif  // JAXTV_TESTS_CUDA_EMULATOR_SRC_MACHINE_H_
