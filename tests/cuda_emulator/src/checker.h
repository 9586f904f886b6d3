// SPDX-License-Identifier: MIT
//
// Judges every load and store of the kernels in the check build: races, reads of memory that was
// never written, accesses outside the known buffers, writes to inputs.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_SRC_CHECKER_H_
#define JAXTV_TESTS_CUDA_EMULATOR_SRC_CHECKER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "happens_before.h"
#include "jaxtv_emulator/calls.h"
#include "machine.h"
#include "shadow.h"

namespace jaxtv::emulator {

enum class AccessKind { kRead, kWrite, kAtomic, kAtomicRead, kAtomicWrite };

inline bool IsAtomic(AccessKind kind) {
  return kind != AccessKind::kRead && kind != AccessKind::kWrite;
}
inline bool Reads(AccessKind kind) {
  return kind != AccessKind::kWrite && kind != AccessKind::kAtomicWrite;
}
inline bool Writes(AccessKind kind) {
  return kind != AccessKind::kRead && kind != AccessKind::kAtomicRead;
}

class Checker {
 public:
  // Whether the kernels of this library are instrumented.
  static bool enabled() { return enabled_; }
  static void Enable() { enabled_ = true; }

  void Register(const void* data, size_t bytes, RegionKind kind, const char* name);
  void Unregister(const void* data);
  void UnregisterAll();

  void OnLaunch();
  void OnStartBlock(int slot);
  void OnEnterBlock(int slot);
  void OnBlockBarrier() { order_.OnBlockBarrier(); }
  void OnSyncWarp(int warp, unsigned mask) { order_.OnSyncWarp(warp, mask); }
  void OnFence(Fence scope);
  void OnAtomic(const void* address, size_t bytes, Site site, Atomic kind);
  // `may_have_padding`: copies of structs read bytes that nobody ever writes.
  void OnAccess(const char* address, size_t bytes, AccessKind kind, Code code,
                bool may_have_padding = false);
  // A write by the host side of the API. False if it does not fit a known buffer.
  bool OnHostWrite(const void* data, size_t bytes);

  // The findings of the launch, a line each; empty if there are none.
  std::string TakeFindings();

 private:
  struct Finding {
    const char* kind;
    const Region* region;
    size_t offset;
    AccessKind access_kind;
    size_t bytes;
    Access now, before;
    bool before_was_write;
    uint3 block_index;
  };

  Region* FindRegion(const char* address);
  bool IsIgnored(const char* address) const;
  void CheckCell(Region& region, size_t cell, uint8_t bytes, AccessKind kind, size_t size,
                 Code code, bool may_have_padding);
  bool Races(const Access& old, const Access& now, bool shared) const;
  void Remember(Cell& cell, const Access& now, bool is_write);
  void Report(const char* kind, const Region& region, size_t offset, AccessKind access_kind,
              size_t bytes, const Access& now, const Access& before, bool before_was_write);
  void MaybePreempt();
  [[noreturn]] void RefuseAccess(const char* address, size_t bytes, AccessKind kind, Code code,
                                 const Region* region);
  Code InternSite(Site site);
  std::string DescribeCode(Code code, const std::map<uint32_t, std::string>& lines) const;

  static bool enabled_;
  std::vector<Region> buffers_;
  // Of each resident block: the same addresses, but for dynamic shared memory.
  std::array<std::vector<Region>, kMaxResidentBlocks> shared_;
  Region* latest_ = nullptr;
  char* tls_ = nullptr;  // the library's TLS block in the launching thread
  HappensBefore order_;
  std::vector<Finding> findings_;
  std::set<std::tuple<const char*, Code, Code>> reported_;
  std::vector<Site> sites_;
  uint32_t launch_ = 0;
  int slot_ = 0;  // of the block in place
  uint32_t num_blocks_ = 0;
  std::array<uint32_t, kMaxResidentBlocks> stamps_{};
  uint32_t accesses_until_preemption_ = 0;
};

Checker& TheChecker();

}  // namespace jaxtv::emulator

#endif  // JAXTV_TESTS_CUDA_EMULATOR_SRC_CHECKER_H_
