// SPDX-License-Identifier: MIT
//
// Blocks one after the other. The threads of a block run warp by warp and lane by lane, each until
// it blocks or ends: the most divergent schedule that CUDA allows, so reliance on lock step fails
// at once.
#include <algorithm>
#include <numeric>

#include "machine.h"

namespace jaxtv::emulator {
namespace {

// A thread that gives way this often in one block spins on something that nobody will change: a
// block cannot wait for a later one.
constexpr int kMaxYields = 100000;

// Runs the lanes of one warp until each is blocked, has given way or has ended.
bool RunWarp(const Block& block, int first, int count, std::vector<int>& order) {
  Machine& machine = TheMachine();
  bool progress = false;
  for (bool again = true; again;) {
    again = false;
    DrawOrder(count, order);
    for (const int lane : order) {
      Thread& thread = block.threads[first + lane];
      if (thread.state != ThreadState::kReady) continue;
      Resume(thread);
      again = progress = true;
      if (machine.error != cudaSuccess) return true;
    }
  }
  return progress;
}

// Runs every thread of the block to its end. False if the launch has failed.
bool RunBlock(Block& block) {
  Machine& machine = TheMachine();
  const int num_warps = (block.num_threads + kWarpSize - 1) / kWarpSize;
  std::vector<int> warps, lanes;
  for (;;) {
    bool progress = false;
    DrawOrder(num_warps, warps);
    for (const int warp : warps) {
      const int first = warp * kWarpSize;
      progress |= RunWarp(block, first, std::min(kWarpSize, block.num_threads - first), lanes);
      if (machine.error != cudaSuccess) return false;
    }
    if (block.num_exited == block.num_threads) return true;
    for (int rank = 0; rank < block.num_threads; ++rank) {
      Thread& thread = block.threads[rank];
      if (thread.state == ThreadState::kYielded) thread.state = ThreadState::kReady;
      progress |= thread.state == ThreadState::kReady;
    }
    if (!progress) {
      Fail(cudaErrorLaunchFailure, DescribeDeadlock());
      return false;
    }
  }
}

}  // namespace

void DrawOrder(int count, std::vector<int>& order) {
  Machine& machine = TheMachine();
  order.resize(count);
  std::iota(order.begin(), order.end(), 0);
  if (machine.settings.order == Order::kReverse) {
    std::reverse(order.begin(), order.end());
  } else if (machine.settings.order == Order::kRandom ||
             (Interleaves(machine.settings.order) && machine.random.Below(2) == 0)) {
    for (int i = count - 1; i > 0; --i) std::swap(order[i], order[machine.random.Below(i + 1)]);
  }
}

void RunOneByOne() {
  Machine& machine = TheMachine();
  std::vector<int> blocks;
  DrawOrder(NumBlocks(), blocks);
  for (const int number : blocks) {
    StartBlock(0, static_cast<uint32_t>(number));
    if (!RunBlock(machine.blocks[0])) return;
  }
}

void Yield() {
  Machine& machine = TheMachine();
  Thread& self = *machine.current;
  if (Interleaves(machine.settings.order)) return Pause();
  if (++self.num_yields > kMaxYields) FailOfLivelock();
  self.state = ThreadState::kYielded;
  SwitchToScheduler();
}

}  // namespace jaxtv::emulator
