// SPDX-License-Identifier: MIT
//
// Blocks side by side. Any thread of any resident block may run next, and may be left before and
// after each atomic and, in the check build, before each access to memory. Where, for whom and for
// how long is drawn from the seed.
#include <algorithm>
#include <array>
#include <queue>

#include "machine.h"

namespace jaxtv::emulator {
namespace {

// A thread that comes to so many switch points spins on something that nobody will change.
constexpr int kMaxPoints = 300000;
// Each launch draws how long its slices are, up to 2^5 switch points, and how many of them end in
// sleep: seeds differ in what they find.
constexpr uint32_t kSliceLengths = 6;
constexpr uint32_t kSleepRates = 5;
// A sleep lasts from one slice of others to 2^12, short and long ones equally often.
constexpr uint32_t kSleepLengths = 12;
// Shared arrays are copied where one block takes over from another; a block has turns of some
// slices for so many bytes of them.
constexpr uint32_t kBytesPerSlice = 1024;

struct Sleeper {
  uint64_t until;
  Thread* thread;
  // The first one to wake is on top.
  bool operator<(const Sleeper& other) const { return until > other.until; }
};

struct Schedule {
  std::array<std::vector<Thread*>, kMaxResidentBlocks> ready;
  std::priority_queue<Sleeper> asleep;
  uint64_t time = 0;                         // in slices
  int slot = 0;                              // of the block whose turn it is
  uint32_t slices_left = 0, max_slices = 1;  // of that turn
  uint32_t points_left = 0, max_points = 1;  // of that slice
  uint32_t awake = 0;                        // one in so many slices ends in sleep; 0: none does
};
Schedule schedule;

void DrawSchedule() {
  Machine& machine = TheMachine();
  schedule = {};
  const auto bytes = static_cast<uint32_t>(machine.blocks[0].shared.size());
  schedule.max_slices = 1 + bytes / kBytesPerSlice;
  schedule.max_points = 1u << machine.random.Below(kSliceLengths);
  if (machine.settings.order == Order::kDelayed) {
    schedule.awake = 1u << machine.random.Below(kSleepRates);
  }
}

void Enqueue(Thread& thread) {
  schedule.ready[TheMachine().SlotOf(*thread.block)].push_back(&thread);
}

// Wakes those whose time has come; the first one at once if nobody else can run.
void WakeUp() {
  const auto is_empty = [](const std::vector<Thread*>& ready) { return ready.empty(); };
  bool idle = std::all_of(schedule.ready.begin(), schedule.ready.end(), is_empty);
  while (!schedule.asleep.empty() && (idle || schedule.asleep.top().until <= schedule.time)) {
    schedule.time = std::max(schedule.time, schedule.asleep.top().until);
    Enqueue(*schedule.asleep.top().thread);
    schedule.asleep.pop();
    idle = false;
  }
}

// Any thread that can run, of the block whose turn it is; null if there is none.
Thread* TakeNext() {
  Random& random = TheMachine().random;
  ++schedule.time;
  WakeUp();
  if (schedule.slices_left-- == 0 || schedule.ready[schedule.slot].empty()) {
    schedule.slices_left = random.Below(schedule.max_slices);
    schedule.slot = static_cast<int>(random.Below(kMaxResidentBlocks));
    for (int i = 0; i < kMaxResidentBlocks && schedule.ready[schedule.slot].empty(); ++i) {
      schedule.slot = (schedule.slot + 1) % kMaxResidentBlocks;
    }
  }
  std::vector<Thread*>& ready = schedule.ready[schedule.slot];
  if (ready.empty()) return nullptr;
  std::swap(ready[random.Below(static_cast<uint32_t>(ready.size()))], ready.back());
  Thread* const next = ready.back();
  ready.pop_back();
  return next;
}

// Of a thread whose slice is over.
void Requeue(Thread& thread) {
  Random& random = TheMachine().random;
  if (schedule.awake == 0 || random.Below(schedule.awake) != 0) return Enqueue(thread);
  const uint32_t longest = 2u << random.Below(kSleepLengths);
  schedule.asleep.push({schedule.time + 1 + random.Below(longest), &thread});
}

}  // namespace

void MakeReady(Thread& thread) {
  Machine& machine = TheMachine();
  thread.state = ThreadState::kReady;
  if (Interleaves(machine.settings.order) && &thread != machine.current) Enqueue(thread);
}

void RunInterleaved() {
  Machine& machine = TheMachine();
  DrawSchedule();
  std::vector<int> blocks;
  DrawOrder(NumBlocks(), blocks);
  const int threads = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  const int slots = std::min({kMaxResidentBlocks, kMaxResidentThreads / threads, NumBlocks()});
  auto next = blocks.begin();
  for (int slot = 0; slot < slots; ++slot) StartBlock(slot, static_cast<uint32_t>(*next++));
  while (Thread* const thread = TakeNext()) {
    Block& block = *thread->block;
    EnterBlock(block);
    schedule.points_left = 1 + machine.random.Below(schedule.max_points);
    Resume(*thread);
    if (machine.error != cudaSuccess) return;
    if (thread->state == ThreadState::kReady) Requeue(*thread);
    if (block.num_exited == block.num_threads && next != blocks.end()) {
      StartBlock(machine.SlotOf(block), static_cast<uint32_t>(*next++));
    }
  }
  for (int slot = 0; slot < slots; ++slot) {
    Block& block = machine.blocks[slot];
    if (block.num_exited == block.num_threads) continue;
    EnterBlock(block);
    return Fail(cudaErrorLaunchFailure, DescribeDeadlock());
  }
}

void SwitchPoint() {
  Machine& machine = TheMachine();
  if (!Interleaves(machine.settings.order)) return;
  if (++machine.current->num_yields > kMaxPoints) FailOfLivelock();
  if (--schedule.points_left == 0) SwitchToScheduler();
}

void Pause() {
  schedule.points_left = 1;
  SwitchPoint();
}

}  // namespace jaxtv::emulator
