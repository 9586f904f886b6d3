// SPDX-License-Identifier: MIT
//
// Resident blocks: their threads as fibers, their shared memory, and the barrier.
#include <sys/mman.h>

#include <cstring>
#include <new>

#include "checker.h"
#include "machine.h"
#include "module.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace jaxtv::emulator {
namespace {

void FiberMain() {
  Machine& machine = TheMachine();
  Fiber::AfterFirstSwitch(machine.scheduler);
  machine.call.body(machine.call.arguments);
  machine.current->state = ThreadState::kExited;
  ++machine.block->num_exited;
  AfterExitFromWarp(*machine.current);
  SwitchToScheduler();
}

// visit(array in place, its bytes, where it is in the copy of a block) for each shared array that
// the kernel can name.
template <typename Visit>
void ForSharedArrays(const Visit& visit) {
  char* const tls = TheModule().ThreadLocalBlock();
  size_t offset = 0;
  for (const Module::SharedArray& array : TheModule().SharedArraysOf(TheMachine().call.kernel)) {
    visit(tls + array.offset, array.bytes, offset);
    offset += array.bytes;
  }
}

void PoisonSharedMemory(const Block& block) {
  const Machine& machine = TheMachine();
  ForSharedArrays([&](char* array, size_t bytes, size_t) {
    std::memset(array, machine.settings.poison, bytes);
  });
  std::memset(block.dynamic_shared, machine.settings.poison, machine.dynamic_bytes);
}

char* MapMemory(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<char*>(memory);
}

}  // namespace

void PrepareBlocks() {
  Machine& machine = TheMachine();
  machine.block = nullptr;
  if (!machine.stacks) {
    machine.stacks = std::make_unique<StackPool>(kMaxResidentThreads);
    machine.threads.resize(kMaxResidentThreads);
    for (Block& block : machine.blocks) block.dynamic_shared = MapMemory(kMaxDynamicBytes + 4096);
  }
  size_t bytes = 0;
  ForSharedArrays([&](char*, size_t size, size_t) { bytes += size; });
  for (Block& block : machine.blocks) block.shared.resize(bytes);
}

void EnterBlock(Block& block) {
  Machine& machine = TheMachine();
  if (machine.block == &block) return;
  ForSharedArrays([&](char* array, size_t bytes, size_t offset) {
    if (machine.block != nullptr) std::memcpy(&machine.block->shared[offset], array, bytes);
    std::memcpy(array, &block.shared[offset], bytes);
  });
  machine.block = &block;
  ::blockIdx = block.index;
  if (Checker::enabled()) TheChecker().OnEnterBlock(machine.SlotOf(block));
}

void StartBlock(int slot, uint32_t number) {
  Machine& machine = TheMachine();
  Block& block = machine.blocks[slot];
  block.number = number;
  block.index = {number % gridDim.x, number / gridDim.x % gridDim.y,
                 number / (gridDim.x * gridDim.y)};
  block.num_threads = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  block.num_exited = block.num_arrived = 0;
  const int first = slot * block.num_threads;
  block.threads = &machine.threads[first];
  if (machine.block == &block) machine.block = nullptr;  // the one that had the slot before
  EnterBlock(block);
  PoisonSharedMemory(block);
  if (Checker::enabled()) TheChecker().OnStartBlock(slot);
  machine.stacks->Clean(first, block.num_threads);
  for (int rank = 0; rank < block.num_threads; ++rank) {
    Thread& thread = block.threads[rank];
    thread.block = &block;
    thread.index = IndexOf(rank);
    thread.num_yields = 0;
    thread.fiber.Start(machine.stacks->stack(first + rank), StackPool::kStackBytes, &FiberMain,
                       machine.settings.fibers);
    MakeReady(thread);
  }
}

void Resume(Thread& thread) {
  Machine& machine = TheMachine();
  threadIdx = thread.index;
  machine.current = &thread;
  Fiber::Switch(machine.scheduler, thread.fiber, machine.settings.fibers);
  machine.current = nullptr;
}

void SwitchToScheduler() {
  Machine& machine = TheMachine();
  Fiber::Switch(machine.current->fiber, machine.scheduler, machine.settings.fibers);
}

int BlockBarrier(Barrier kind, int predicate, Site site) {
  Machine& machine = TheMachine();
  Block& block = *machine.block;
  Thread& self = *machine.current;
  self.site = site;
  self.barrier = kind;
  self.operand = predicate != 0;
  self.state = ThreadState::kAtBarrier;
  if (block.num_arrived++ == 0) {
    block.first_arrived = &self;
  } else if (const Thread& first = *block.first_arrived;
             first.barrier != kind || first.site.line != site.line) {
    Fail(cudaErrorLaunchFailure, "different barriers: thread " + Describe(self.index) +
                                     " waits in " + DescribeOp(self) + ", thread " +
                                     Describe(first.index) + " in " + DescribeOp(first));
  }
  if (block.num_arrived < block.num_threads) {
    SwitchToScheduler();
    return block.barrier_result;
  }

  int count = 0;
  for (int rank = 0; rank < block.num_threads; ++rank) {
    count += block.threads[rank].operand != 0;
    MakeReady(block.threads[rank]);
  }
  block.barrier_result = kind == Barrier::kCount ? count
                         : kind == Barrier::kAnd ? count == block.num_threads
                                                 : count > 0;
  block.num_arrived = 0;
  if (Checker::enabled()) TheChecker().OnBlockBarrier();
  return block.barrier_result;
}

int NumBlocks() { return static_cast<int>(gridDim.x * gridDim.y * gridDim.z); }

void* DynamicShared() { return TheMachine().block->dynamic_shared; }

}  // namespace jaxtv::emulator
