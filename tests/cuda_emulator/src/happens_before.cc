// SPDX-License-Identifier: MIT
#include "happens_before.h"

#include <algorithm>

namespace jaxtv::emulator {

HappensBefore::HappensBefore() : threads_(kMaxThreads) {}

void HappensBefore::OnLaunch() { published_.clear(); }

void HappensBefore::OnBlock(uint32_t block, int num_threads) {
  block_ = block;
  epoch_ = 0;
  num_threads_ = num_threads;
  any_fence_ = false;
  block_knowledge_.clear();
  fenced_by_others_ = {};
  for (int i = 0; i < num_threads; ++i) {
    ThreadTime& time = threads_[i];
    time.clock = 0;
    time.lanes = {};
    time.fenced = {};
    time.knowledge.clear();
  }
}

void HappensBefore::OnBlockBarrier() {
  for (int i = 0; i < num_threads_; ++i) {
    ThreadTime& time = threads_[i];
    if (!time.knowledge.empty()) {
      Merge(time.knowledge, block_knowledge_);
      time.knowledge.clear();
    }
    // "fence, barrier, one thread's atomic" is how much code publishes the work of a whole block.
    if (any_fence_ && time.fenced.device && time.fenced.since_barrier) {
      Merge(ViewAtFence(i), fenced_by_others_);
    }
    time.fenced.since_barrier = false;
  }
  any_fence_ = false;
  ++epoch_;
}

void HappensBefore::OnSyncWarp(int warp, unsigned mask) {
  const int first = warp * kWarpSize;
  LaneClocks joined{};
  Knowledge knowledge;
  auto for_each_lane = [&](auto&& visit) {
    for (int lane = 0; lane < kWarpSize && first + lane < num_threads_; ++lane) {
      if ((mask >> lane) & 1u) visit(lane, threads_[first + lane]);
    }
  };
  for_each_lane([&](int, ThreadTime& time) {
    for (int i = 0; i < kWarpSize; ++i) joined[i] = std::max(joined[i], time.lanes[i]);
    if (!time.knowledge.empty()) Merge(time.knowledge, knowledge);
  });
  for_each_lane([&](int lane, ThreadTime& time) { joined[lane] = ++time.clock; });
  for_each_lane([&](int, ThreadTime& time) {
    time.lanes = joined;
    if (!knowledge.empty()) time.knowledge = knowledge;
  });
}

void HappensBefore::OnFence(int thread, Fence scope) {
  ThreadTime& time = threads_[thread];
  time.lanes[thread % kWarpSize] = ++time.clock;
  time.fenced.block = true;
  time.fenced.device |= scope == Fence::kDevice;
  time.fenced.since_barrier = true;
  time.fenced.epoch = epoch_;
  time.fenced.clocks = time.lanes;
  any_fence_ = true;
}

void HappensBefore::OnAtomic(int thread, const void* address) {
  ThreadTime& time = threads_[thread];
  const bool acquires = published_.count(address) != 0;
  const bool releases = time.fenced.block || !fenced_by_others_.clocks.empty() ||
                        !block_knowledge_.empty() || !time.knowledge.empty();
  if (!acquires && !releases) return;
  Published& published = published_[address];
  if (time.fenced.device || !fenced_by_others_.clocks.empty()) {
    BlockView& view = published.device[block_];
    if (time.fenced.device) Merge(ViewAtFence(thread), view);
    Merge(fenced_by_others_, view);
  }
  if (time.fenced.device) {
    Merge(block_knowledge_, published.device);
    Merge(time.knowledge, published.device);
  }
  if (time.fenced.block) Merge(ViewAtFence(thread), published.block[block_]);
  Merge(published.device, time.knowledge);
  const auto own = published.block.find(block_);
  if (own != published.block.end()) Merge(own->second, time.knowledge[block_]);
  // Later accesses of this thread must not seem to precede the fence.
  time.lanes[thread % kWarpSize] = ++time.clock;
}

void HappensBefore::Stamp(int thread, Access& access) const {
  access.block = block_;
  access.epoch = epoch_;
  access.clock = threads_[thread].clock;
  access.thread = static_cast<uint16_t>(thread);
}

bool HappensBefore::IsOrdered(const Access& old, int thread) const {
  const ThreadTime& time = threads_[thread];
  if (old.block == block_) {
    if (old.thread == thread || old.epoch < epoch_) return true;
    if (old.thread / kWarpSize == thread / kWarpSize &&
        time.lanes[old.thread % kWarpSize] > old.clock) {
      return true;
    }
  }
  return Knows(time.knowledge, old) || Knows(block_knowledge_, old);
}

HappensBefore::BlockView HappensBefore::ViewAtFence(int thread) const {
  const Fenced& fenced = threads_[thread].fenced;
  const int first = thread / kWarpSize * kWarpSize;
  BlockView view;
  view.epoch = fenced.epoch;
  for (int lane = 0; lane < kWarpSize; ++lane) {
    if (fenced.clocks[lane] != 0) {
      view.clocks[static_cast<uint16_t>(first + lane)] = fenced.clocks[lane];
    }
  }
  return view;
}

void HappensBefore::Merge(const BlockView& from, BlockView& to) {
  to.epoch = std::max(to.epoch, from.epoch);
  for (const auto& [thread, clock] : from.clocks) {
    uint32_t& known = to.clocks[thread];
    known = std::max(known, clock);
  }
}

void HappensBefore::Merge(const Knowledge& from, Knowledge& to) {
  for (const auto& [block, view] : from) Merge(view, to[block]);
}

bool HappensBefore::Knows(const Knowledge& knowledge, const Access& old) {
  const auto found = knowledge.find(old.block);
  if (found == knowledge.end()) return false;
  const BlockView& view = found->second;
  if (view.epoch > old.epoch) return true;
  const auto clock = view.clocks.find(old.thread);
  return clock != view.clocks.end() && clock->second > old.clock;
}

}  // namespace jaxtv::emulator
