// SPDX-License-Identifier: MIT
#include "checker.h"

#include <algorithm>

#include "machine.h"
#include "module.h"

namespace jaxtv::emulator {
namespace {

// Threads give way now and then between two accesses, so that loops which wait for another
// thread's store end, and in random order so that more interleavings occur.
constexpr uint32_t kAccessesPerSlice = 1024;
constexpr uint32_t kMaxRandomSlice = 256;

}  // namespace

bool Checker::enabled_ = false;

Checker& TheChecker() {
  static Checker checker;
  return checker;
}

void Checker::Register(const void* data, size_t bytes, RegionKind kind, const char* name) {
  latest_ = nullptr;
  for (Region& region : buffers_) {
    if (region.base != data) continue;
    if (region.kind != kind) region.kind = RegionKind::kInOut;
    if (region.bytes < bytes) {
      region.bytes = bytes;
      region.cells.reset();
    }
    return;
  }
  buffers_.emplace_back(data, bytes, kind, name);
}

void Checker::Unregister(const void* data) {
  latest_ = nullptr;
  buffers_.erase(std::remove_if(buffers_.begin(), buffers_.end(),
                                [&](const Region& region) { return region.base == data; }),
                 buffers_.end());
}

void Checker::UnregisterAll() {
  latest_ = nullptr;
  buffers_.clear();
}

void Checker::OnLaunch() {
  ++launch_;
  latest_ = nullptr;
  findings_.clear();
  reported_.clear();
  order_.OnLaunch();
  for (Region& region : buffers_) region.AllocateCells();

  tls_ = TheModule().ThreadLocalBlock();
  for (auto& regions : shared_) regions.clear();
}

void Checker::OnStartBlock(int slot) {
  const Machine& machine = TheMachine();
  const Block& block = machine.blocks[slot];
  std::vector<Region>& regions = shared_[slot];
  if (regions.empty()) {
    for (const Module::SharedArray& array : TheModule().SharedArraysOf(machine.call.kernel)) {
      regions.emplace_back(tls_ + array.offset, array.bytes, RegionKind::kShared,
                           "shared array '" + array.name + "'");
    }
    if (machine.dynamic_bytes > 0) {
      regions.emplace_back(block.dynamic_shared, machine.dynamic_bytes, RegionKind::kShared,
                           "dynamic shared memory");
    }
    for (Region& region : regions) region.AllocateCells();
  }
  stamps_[slot] = ++num_blocks_;
  accesses_until_preemption_ = kAccessesPerSlice;
  order_.OnStartBlock(slot, block.number, block.num_threads);
}

void Checker::OnEnterBlock(int slot) {
  slot_ = slot;
  latest_ = nullptr;
  order_.OnEnterBlock(slot);
}

void Checker::OnFence(Fence scope) { order_.OnFence(TheMachine().Rank(), scope); }

void Checker::OnAtomic(const void* address, size_t bytes, Site site, Atomic kind) {
  const AccessKind access = kind == Atomic::kLoad    ? AccessKind::kAtomicRead
                            : kind == Atomic::kStore ? AccessKind::kAtomicWrite
                                                     : AccessKind::kAtomic;
  OnAccess(static_cast<const char*>(address), bytes, access, InternSite(site));
  if (kind == Atomic::kUpdate) order_.OnAtomic(TheMachine().Rank(), address);
}

bool Checker::OnHostWrite(const void* data, size_t bytes) {
  if (buffers_.empty() || bytes == 0) return true;
  const char* first = static_cast<const char*>(data);
  for (Region& region : buffers_) {
    if (!region.Contains(first)) continue;
    const size_t offset = first - region.base;
    if (offset + bytes > region.bytes || region.kind == RegionKind::kInput) return false;
    region.AllocateCells();
    for (size_t i = offset; i < offset + bytes; ++i) {
      region.cells[i / 4].initialised |= static_cast<uint8_t>(1u << (i % 4));
    }
    return true;
  }
  return false;
}

Region* Checker::FindRegion(const char* address) {
  if (latest_ && latest_->Contains(address)) return latest_;
  for (auto* regions : {&shared_[slot_], &buffers_}) {
    for (Region& region : *regions) {
      if (region.Contains(address)) return latest_ = &region;
    }
  }
  return nullptr;
}

bool Checker::IsIgnored(const char* address) const {
  const Machine& machine = TheMachine();
  for (const Block& block : machine.blocks) {
    const char* dynamic = block.dynamic_shared;
    if (address >= dynamic && address < dynamic + kMaxDynamicBytes) return false;
  }
  if (address >= tls_ && address < tls_ + TheModule().thread_local_bytes()) return false;
  const char* arguments = static_cast<const char*>(machine.call.arguments);
  if (address >= arguments && address < arguments + machine.call.argument_bytes) return true;
  return buffers_.empty() || TheModule().Contains(address);
}

void Checker::OnAccess(const char* address, size_t bytes, AccessKind kind, Code code,
                       bool may_have_padding) {
  const Machine& machine = TheMachine();
  if (machine.current == nullptr || machine.stacks->Contains(address)) return;
  Region* region = FindRegion(address);
  if (region == nullptr) {
    if (!IsIgnored(address)) RefuseAccess(address, bytes, kind, code, nullptr);
    return;
  }
  const size_t offset = address - region->base;
  if (offset + bytes > region->bytes || (Writes(kind) && region->kind == RegionKind::kInput)) {
    RefuseAccess(address, bytes, kind, code, region);
  }
  if (!IsAtomic(kind)) MaybePreempt();
  for (size_t at = offset; at < offset + bytes;) {
    const size_t end = std::min(at / 4 * 4 + 4, offset + bytes);
    const unsigned mask = ((1u << (end - at)) - 1) << (at % 4);
    CheckCell(*region, at / 4, static_cast<uint8_t>(mask), kind, bytes, code, may_have_padding);
    at = end;
  }
}

bool Checker::Races(const Access& old, const Access& now, bool shared) const {
  if (old.launch != now.launch || (old.bytes & now.bytes) == 0) return false;
  if (old.atomic && now.atomic) return false;
  if (shared && old.block != now.block) return false;
  return !order_.IsOrdered(old, now.thread);
}

void Checker::CheckCell(Region& region, size_t index, uint8_t bytes, AccessKind kind, size_t size,
                        Code code, bool may_have_padding) {
  Cell& cell = region.cells[index];
  const bool shared = region.kind == RegionKind::kShared;
  if (shared && cell.init_stamp != stamps_[slot_]) {
    cell.init_stamp = stamps_[slot_];
    cell.initialised = 0;
  }
  Access now{};
  now.launch = launch_;
  now.code = code;
  now.bytes = bytes;
  now.atomic = IsAtomic(kind);
  order_.Stamp(TheMachine().Rank(), now);

  const bool starts_uninitialised = shared || region.kind == RegionKind::kOutput;
  if (Reads(kind) && starts_uninitialised && !may_have_padding &&
      (bytes & ~cell.initialised) != 0) {
    Report("uninitialised read", region, index * 4, kind, size, now, Access{}, false);
  }
  if (Races(cell.writer, now, shared)) {
    Report("race", region, index * 4, kind, size, now, cell.writer, true);
  }
  if (Writes(kind)) {
    for (const Access& reader : cell.readers) {
      if (Races(reader, now, shared)) {
        Report("race", region, index * 4, kind, size, now, reader, false);
      }
    }
    cell.initialised |= bytes;
  }
  Remember(cell, now, Writes(kind));
}

void Checker::Remember(Cell& cell, const Access& now, bool is_write) {
  if (is_write) {
    cell.writer = now;
    // Whatever races with a reader now races with this write too, or was reported above.
    if (now.bytes == 0xf && !now.atomic) {
      for (Access& reader : cell.readers) reader = Access{};
    }
    return;
  }
  Access* slot = nullptr;
  for (Access& reader : cell.readers) {
    if (reader.launch == now.launch && reader.block == now.block && reader.thread == now.thread) {
      slot = &reader;
      break;
    }
    if (slot == nullptr && (reader.launch != now.launch || order_.IsOrdered(reader, now.thread))) {
      slot = &reader;
    }
  }
  if (slot != nullptr) *slot = now;
}

void Checker::MaybePreempt() {
  if (Interleaves(TheMachine().settings.order)) return SwitchPoint();
  if (--accesses_until_preemption_ != 0) return;
  Machine& machine = TheMachine();
  accesses_until_preemption_ = machine.settings.order == Order::kRandom
                                   ? 1 + machine.random.Below(kMaxRandomSlice)
                                   : kAccessesPerSlice;
  Yield();
}

Code Checker::InternSite(Site site) {
  for (size_t i = 0; i < sites_.size(); ++i) {
    if (sites_[i].line == site.line && sites_[i].file == site.file) {
      return kSiteBit | static_cast<Code>(i);
    }
  }
  sites_.push_back(site);
  return kSiteBit | static_cast<Code>(sites_.size() - 1);
}

}  // namespace jaxtv::emulator
