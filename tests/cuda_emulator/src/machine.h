// SPDX-License-Identifier: MIT
//
// The state of the one emulated device: settings, the running launch, and its resident blocks.
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

constexpr int kMaxThreads = 1024;  // of a block
constexpr int kWarpSize = 32;
// Threads of all resident blocks: those of one multiprocessor. Under AddressSanitizer shared arrays
// are plain statics (types.h), which only one block at a time can have.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kMaxResidentBlocks = 1;
#else
constexpr int kMaxResidentBlocks = 8;
#endif
constexpr int kMaxResidentThreads = 2048;
constexpr size_t kDefaultDynamicBytes = 48 * 1024;
constexpr size_t kMaxDynamicBytes = 227 * 1024;

// In the first three, blocks run one after the other; in the last two, side by side.
enum class Order { kForward = 0, kReverse = 1, kRandom = 2, kInterleaved = 3, kDelayed = 4 };
inline bool Interleaves(Order order) { return order >= Order::kInterleaved; }

struct Settings {
  Order order = Order::kForward;
  int poison = 0xff;
  FiberBackend fibers = kDefaultFiberBackend;
  int mutant = -1;
};

enum class ThreadState : uint8_t { kReady, kYielded, kAtBarrier, kAtWarpOp, kExited };

struct Block;

struct Thread {
  Fiber fiber;
  Block* block = nullptr;
  uint3 index{};
  ThreadState state = ThreadState::kExited;
  int num_yields = 0;  // or, where blocks interleave, places where another thread could go on
  // The collective operation that the thread waits in.
  Site site;
  WarpOp op{};
  Barrier barrier{};
  unsigned mask = 0;
  int source_lane = 0;
  uint64_t operand = 0;
  uint64_t result = 0;
};

// A resident block.
struct Block {
  uint32_t number = 0;
  uint3 index{};
  Thread* threads = nullptr;
  int num_threads = 0;
  int num_exited = 0;
  int num_arrived = 0;  // at the block barrier
  Thread* first_arrived = nullptr;
  int barrier_result = 0;
  char* dynamic_shared = nullptr;  // kMaxDynamicBytes
  std::vector<char> shared;        // what is in its shared arrays, while another block runs

  int RankOf(const Thread& thread) const { return static_cast<int>(&thread - threads); }
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
  Random random;  // goes on from launch to launch
  std::unique_ptr<StackPool> stacks;

  KernelCall call{};
  size_t dynamic_bytes = 0;
  uint64_t num_launches = 0, num_waits = 0;

  std::vector<Thread> threads;  // kMaxResidentThreads
  Block blocks[kMaxResidentBlocks];
  Block* block = nullptr;     // whose shared arrays are in place
  Thread* current = nullptr;  // null while no kernel code runs
  Fiber scheduler;

  cudaError_t error = cudaSuccess;
  std::string report;

  int SlotOf(const Block& resident) const { return static_cast<int>(&resident - blocks); }
  // Of the running thread in its block.
  int Rank() const { return block->RankOf(*current); }
};

Machine& TheMachine();

// Fills `order` with a permutation of 0 .. count-1 as the settings ask; where blocks interleave,
// one seed in two keeps them in order, in which a device starts them.
void DrawOrder(int count, std::vector<int>& order);

// Readies the machine for the blocks of a launch.
void PrepareBlocks();

// Puts block `number` of the grid into a slot.
void StartBlock(int slot, uint32_t number);

// Brings the shared memory of a resident block into place.
void EnterBlock(Block& block);

// Lets a thread of the block in place run until it comes back to the scheduler.
void Resume(Thread& thread);

// Each runs all blocks of the grid to their end, or until the launch fails.
void RunOneByOne();
void RunInterleaved();
int NumBlocks();

// A waiting thread may go on.
void MakeReady(Thread& thread);

// Where blocks interleave: by a thread, where another one may go on; where another one must.
void SwitchPoint();
void Pause();

// Gives the processor to the scheduler; returns when the running thread is resumed.
void SwitchToScheduler();

// Records an error that ends the launch. Does not return when called by a kernel.
void Fail(cudaError_t error, const std::string& message);

// Of a thread that waits for ever, without a synchronisation.
void FailOfLivelock();

// Resolves the operations of the warp that wait only for `thread`, which has just exited.
void AfterExitFromWarp(const Thread& thread);

// Says who of the block in place waits where, when no thread can continue.
std::string DescribeDeadlock();

uint3 IndexOf(int rank);  // of a thread in its block
std::string Describe(const Site& site);
std::string Describe(const uint3& index);
std::string DescribeOp(const Thread& thread);
std::string KernelName();

}  // namespace jaxtv::emulator

#endif  // JAXTV_TESTS_CUDA_EMULATOR_SRC_MACHINE_H_
