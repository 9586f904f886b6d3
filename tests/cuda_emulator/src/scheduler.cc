// SPDX-License-Identifier: MIT
//
// Runs the threads of a block as fibers, warp by warp and lane by lane, each until it blocks or
// ends: the most divergent schedule that CUDA allows, so reliance on lock step fails at once.
#include <algorithm>
#include <numeric>

#include "checker.h"
#include "machine.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace jaxtv::emulator {
namespace {

// A thread that gives way this often in one block spins on something that nobody will change:
// blocks run one after the other, so a block cannot wait for a later one.
constexpr int kMaxYields = 100000;

void FiberMain() {
  Machine& machine = TheMachine();
  Fiber::AfterFirstSwitch(machine.scheduler);
  machine.call.body(machine.call.arguments);
  machine.current->state = ThreadState::kExited;
  AfterExitFromWarp(*machine.current);
  SwitchToScheduler();
}

void Resume(Thread& thread) {
  Machine& machine = TheMachine();
  threadIdx = thread.index;
  thread.state = ThreadState::kReady;
  machine.current = &thread;
  Fiber::Switch(machine.scheduler, thread.fiber, machine.settings.fibers);
  machine.current = nullptr;
}

// Runs the lanes of one warp until each is blocked, has given way or has ended.
bool RunWarp(int first, int count, std::vector<int>& order) {
  Machine& machine = TheMachine();
  bool progress = false;
  for (bool again = true; again;) {
    again = false;
    DrawOrder(count, order);
    for (const int lane : order) {
      Thread& thread = machine.threads[first + lane];
      if (thread.state != ThreadState::kReady) continue;
      Resume(thread);
      again = progress = true;
      if (machine.error != cudaSuccess) return true;
    }
  }
  return progress;
}

void StartThreads() {
  Machine& machine = TheMachine();
  machine.num_threads = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  machine.num_arrived = 0;
  machine.stacks->Clean(machine.num_threads);
  for (int rank = 0; rank < machine.num_threads; ++rank) {
    Thread& thread = machine.threads[rank];
    const unsigned r = static_cast<unsigned>(rank);
    thread.index = {r % blockDim.x, r / blockDim.x % blockDim.y, r / (blockDim.x * blockDim.y)};
    thread.state = ThreadState::kReady;
    thread.num_yields = 0;
    thread.fiber.Start(machine.stacks->stack(rank), StackPool::kStackBytes, &FiberMain,
                       machine.settings.fibers);
  }
}

}  // namespace

void DrawOrder(int count, std::vector<int>& order) {
  Machine& machine = TheMachine();
  order.resize(count);
  std::iota(order.begin(), order.end(), 0);
  if (machine.settings.order == Order::kReverse) {
    std::reverse(order.begin(), order.end());
  } else if (machine.settings.order == Order::kRandom) {
    for (int i = count - 1; i > 0; --i) std::swap(order[i], order[machine.random.Below(i + 1)]);
  }
}

bool RunBlock() {
  Machine& machine = TheMachine();
  StartThreads();
  const int num_warps = (machine.num_threads + kWarpSize - 1) / kWarpSize;
  std::vector<int> warps, lanes;
  for (;;) {
    bool progress = false;
    DrawOrder(num_warps, warps);
    for (const int warp : warps) {
      const int first = warp * kWarpSize;
      progress |= RunWarp(first, std::min(kWarpSize, machine.num_threads - first), lanes);
      if (machine.error != cudaSuccess) return false;
    }
    bool all_exited = true;
    for (int rank = 0; rank < machine.num_threads; ++rank) {
      Thread& thread = machine.threads[rank];
      all_exited &= thread.state == ThreadState::kExited;
      if (thread.state == ThreadState::kYielded) {
        thread.state = ThreadState::kReady;
        progress = true;
      }
      progress |= thread.state == ThreadState::kReady;
    }
    if (all_exited) return true;
    if (!progress) {
      Fail(cudaErrorLaunchFailure, DescribeDeadlock());
      return false;
    }
  }
}

void SwitchToScheduler() {
  Machine& machine = TheMachine();
  Fiber::Switch(machine.current->fiber, machine.scheduler, machine.settings.fibers);
}

void Yield() {
  Machine& machine = TheMachine();
  Thread& self = *machine.current;
  if (++self.num_yields > kMaxYields) {
    Fail(cudaErrorLaunchTimeout, "livelock: thread " + Describe(self.index) +
                                     " spins without end, perhaps on a flag that only another "
                                     "block could set");
  }
  self.state = ThreadState::kYielded;
  SwitchToScheduler();
}

int BlockBarrier(Barrier kind, int predicate, Site site) {
  Machine& machine = TheMachine();
  Thread& self = *machine.current;
  self.site = site;
  self.barrier = kind;
  self.operand = predicate != 0;
  self.state = ThreadState::kAtBarrier;
  if (machine.num_arrived++ == 0) {
    machine.first_arrived = &self;
  } else if (const Thread& first = *machine.first_arrived;
             first.barrier != kind || first.site.line != site.line) {
    Fail(cudaErrorLaunchFailure, "different barriers: thread " + Describe(self.index) +
                                     " waits in " + DescribeOp(self) + ", thread " +
                                     Describe(first.index) + " in " + DescribeOp(first));
  }
  if (machine.num_arrived < machine.num_threads) {
    SwitchToScheduler();
    return machine.barrier_result;
  }

  int count = 0;
  for (int rank = 0; rank < machine.num_threads; ++rank) {
    count += machine.threads[rank].operand != 0;
    machine.threads[rank].state = ThreadState::kReady;
  }
  machine.barrier_result = kind == Barrier::kCount ? count
                           : kind == Barrier::kAnd ? count == machine.num_threads
                                                   : count > 0;
  machine.num_arrived = 0;
  if (Checker::enabled()) TheChecker().OnBlockBarrier();
  return machine.barrier_result;
}

}  // namespace jaxtv::emulator
