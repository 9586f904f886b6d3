// SPDX-License-Identifier: MIT
#include "happens_before.h"

#include <algorithm>

namespace jaxtv::emulator {

void HappensBefore::OnLaunch() { published_.clear(); }

void HappensBefore::OnStartBlock(int slot, uint32_t block, int num_threads) {
  block_ = &blocks_[slot];
  block_->number = block;
  block_->epoch = 0;
  block_->any_fence = false;
  block_->knowledge.clear();
  block_->fenced_by_others = {};
  block_->threads.resize(num_threads);
  for (ThreadTime& time : block_->threads) {
    time.clock = 0;
    time.lanes = {};
    time.fenced = {};
    time.knowledge.clear();
  }
}

void HappensBefore::OnBlockBarrier() {
  for (size_t i = 0; i < block_->threads.size(); ++i) {
    ThreadTime& time = block_->threads[i];
    if (!time.knowledge.empty()) {
      Merge(time.knowledge, block_->knowledge);
      time.knowledge.clear();
    }
    // "fence, barrier, one thread's atomic" is how much code publishes the work of a whole block.
    if (block_->any_fence && time.fenced.device && time.fenced.since_barrier) {
      Merge(ViewAtFence(static_cast<int>(i)), block_->fenced_by_others);
    }
    time.fenced.since_barrier = false;
  }
  block_->any_fence = false;
  ++block_->epoch;
}

void HappensBefore::OnSyncWarp(int warp, unsigned mask) {
  const int first = warp * kWarpSize;
  LaneClocks joined{};
  Knowledge knowledge;
  auto for_each_lane = [&](auto&& visit) {
    for (int lane = 0; lane < kWarpSize && first + lane < static_cast<int>(block_->threads.size());
         ++lane) {
      if ((mask >> lane) & 1u) visit(lane, block_->threads[first + lane]);
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
  ThreadTime& time = block_->threads[thread];
  time.lanes[thread % kWarpSize] = ++time.clock;
  time.fenced.block = true;
  time.fenced.device |= scope == Fence::kDevice;
  time.fenced.since_barrier = true;
  time.fenced.epoch = block_->epoch;
  time.fenced.clocks = time.lanes;
  block_->any_fence = true;
}

void HappensBefore::OnAtomic(int thread, const void* address) {
  ThreadTime& time = block_->threads[thread];
  const bool acquires = published_.count(address) != 0;
  const bool releases = time.fenced.block || !block_->fenced_by_others.clocks.empty() ||
                        !block_->knowledge.empty() || !time.knowledge.empty();
  if (!acquires && !releases) return;
  Published& published = published_[address];
  if (time.fenced.device || !block_->fenced_by_others.clocks.empty()) {
    BlockView& view = published.device[block_->number];
    if (time.fenced.device) Merge(ViewAtFence(thread), view);
    Merge(block_->fenced_by_others, view);
  }
  if (time.fenced.device) {
    Merge(block_->knowledge, published.device);
    Merge(time.knowledge, published.device);
  }
  if (time.fenced.block) Merge(ViewAtFence(thread), published.block[block_->number]);
  Merge(published.device, time.knowledge);
  const auto own = published.block.find(block_->number);
  if (own != published.block.end()) Merge(own->second, time.knowledge[block_->number]);
  // Later accesses of this thread must not seem to precede the fence.
  time.lanes[thread % kWarpSize] = ++time.clock;
}

void HappensBefore::Stamp(int thread, Access& access) const {
  access.block = block_->number;
  access.epoch = block_->epoch;
  access.clock = block_->threads[thread].clock;
  access.thread = static_cast<uint16_t>(thread);
}

bool HappensBefore::IsOrdered(const Access& old, int thread) const {
  const ThreadTime& time = block_->threads[thread];
  if (old.block == block_->number) {
    if (old.thread == thread || old.epoch < block_->epoch) return true;
    if (old.thread / kWarpSize == thread / kWarpSize &&
        time.lanes[old.thread % kWarpSize] > old.clock) {
      return true;
    }
  }
  return Knows(time.knowledge, old) || Knows(block_->knowledge, old);
}

HappensBefore::BlockView HappensBefore::ViewAtFence(int thread) const {
  const Fenced& fenced = block_->threads[thread].fenced;
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
