// SPDX-License-Identifier: MIT
//
// Which earlier accesses of a launch are ordered before the running thread. Ordered are:
//   - accesses of the same thread;
//   - accesses of the block before its latest barrier (counted as epochs);
//   - accesses of a lane before a __syncwarp with it (a vector clock for each lane);
//   - what a thread did before a fence, for whoever later touches by an atomic an address that the
//     thread updated by an atomic after the fence (release and acquire).
// Shuffles and votes order nothing.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_SRC_HAPPENS_BEFORE_H_
#define JAXTV_TESTS_CUDA_EMULATOR_SRC_HAPPENS_BEFORE_H_

#include <array>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "jaxtv_emulator/calls.h"
#include "machine.h"
#include "shadow.h"

namespace jaxtv::emulator {

class HappensBefore {
 public:
  void OnLaunch();
  // A new block in a slot; and all that follows is of the block in that slot.
  void OnStartBlock(int slot, uint32_t block, int num_threads);
  void OnEnterBlock(int slot) { block_ = &blocks_[slot]; }
  void OnBlockBarrier();
  void OnSyncWarp(int warp, unsigned mask);
  void OnFence(int thread, Fence scope);
  void OnAtomic(int thread, const void* address);

  // Stamps an access by `thread` with its time.
  void Stamp(int thread, Access& access) const;
  // Whether `old`, of this launch, is ordered before what `thread` does now.
  bool IsOrdered(const Access& old, int thread) const;

 private:
  // Of another block: everything of earlier epochs, and of each thread what precedes its clock.
  struct BlockView {
    uint32_t epoch = 0;
    std::map<uint16_t, uint32_t> clocks;
  };
  using Knowledge = std::unordered_map<uint32_t, BlockView>;
  using LaneClocks = std::array<uint32_t, kWarpSize>;

  struct Fenced {
    bool block = false, device = false, since_barrier = false;
    uint32_t epoch = 0;
    LaneClocks clocks{};
  };
  struct ThreadTime {
    uint32_t clock = 0;
    LaneClocks lanes{};  // accesses of lane i with a smaller clock are ordered
    Fenced fenced;
    Knowledge knowledge;
  };
  struct Published {
    Knowledge device, block;
  };

  static void Merge(const BlockView& from, BlockView& to);
  static void Merge(const Knowledge& from, Knowledge& to);
  static bool Knows(const Knowledge& knowledge, const Access& old);
  BlockView ViewAtFence(int thread) const;

  struct BlockTime {
    uint32_t number = 0;
    uint32_t epoch = 0;
    bool any_fence = false;
    std::vector<ThreadTime> threads;
    Knowledge knowledge;         // of all its threads
    BlockView fenced_by_others;  // fences that a later block barrier made good for all threads
  };

  std::array<BlockTime, kMaxResidentBlocks> blocks_;
  BlockTime* block_ = blocks_.data();
  std::unordered_map<const void*, Published> published_;
};

}  // namespace jaxtv::emulator

#endif  // JAXTV_TESTS_CUDA_EMULATOR_SRC_HAPPENS_BEFORE_H_
