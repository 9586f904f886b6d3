// SPDX-License-Identifier: MIT
//
// Operations in which the lanes of a warp meet. A lane waits until every lane of its mask that has
// not exited executes the same operation, on the same line, with the same mask.
#include <string>

#include "checker.h"
#include "machine.h"

namespace jaxtv::emulator {
namespace {

struct Warp {
  Thread* lanes;
  int count;
  explicit Warp(const Thread& member) {
    const Block& block = *member.block;
    const int first = block.RankOf(member) / kWarpSize * kWarpSize;
    lanes = &block.threads[first];
    count = std::min(kWarpSize, block.num_threads - first);
  }
  bool IsLive(int lane) const { return lane < count && lanes[lane].state != ThreadState::kExited; }
};

bool Has(unsigned mask, int lane) { return (mask >> lane) & 1u; }

bool InSameOp(const Thread& a, const Thread& b) {
  return b.state == ThreadState::kAtWarpOp && a.op == b.op && a.mask == b.mask &&
         a.site.line == b.site.line;
}

uint64_t Reduce(const Warp& warp, const Thread& self) {
  const unsigned mask = self.mask;
  bool first = true;
  uint32_t total = 0;
  for (int lane = 0; lane < warp.count; ++lane) {
    if (!Has(mask, lane) || !warp.IsLive(lane)) continue;
    const auto value = static_cast<uint32_t>(warp.lanes[lane].operand);
    const auto signed_value = static_cast<int32_t>(value);
    const auto signed_total = static_cast<int32_t>(total);
    if (first) {
      total = value;
    } else {
      switch (self.op) {
        case WarpOp::kAddSigned:
          total += value;
          break;
        case WarpOp::kMinSigned:
          total = signed_value < signed_total ? value : total;
          break;
        case WarpOp::kMaxSigned:
          total = signed_value > signed_total ? value : total;
          break;
        case WarpOp::kMinUnsigned:
          total = std::min(value, total);
          break;
        case WarpOp::kMaxUnsigned:
          total = std::max(value, total);
          break;
        case WarpOp::kAnd:
          total &= value;
          break;
        case WarpOp::kOr:
          total |= value;
          break;
        default:
          total ^= value;
          break;
      }
    }
    first = false;
  }
  return total;
}

uint64_t Vote(const Warp& warp, const Thread& self) {
  unsigned members = 0, ballot = 0, equal = 0;
  for (int lane = 0; lane < warp.count; ++lane) {
    if (!Has(self.mask, lane) || !warp.IsLive(lane)) continue;
    members |= 1u << lane;
    if (warp.lanes[lane].operand != 0) ballot |= 1u << lane;
    if (warp.lanes[lane].operand == self.operand) equal |= 1u << lane;
  }
  switch (self.op) {
    case WarpOp::kBallot:
      return ballot;
    case WarpOp::kAny:
      return ballot != 0;
    case WarpOp::kAll:
      return ballot == members;
    case WarpOp::kMatchAny:
      return equal;
    default:
      return equal == members ? members : 0;
  }
}

uint64_t ShuffleResult(const Warp& warp, const Thread& self) {
  const int source = self.source_lane;
  const bool outside = !Has(self.mask, source);
  if (outside || !warp.IsLive(source)) {
    Fail(cudaErrorLaunchFailure, "shuffle source: thread " + Describe(self.index) + " reads lane " +
                                     std::to_string(source) + ", which " +
                                     (outside ? "is outside its mask" : "has exited or is absent") +
                                     ", in " + DescribeOp(self));
  }
  return warp.lanes[source].operand;
}

// Completes the operation of `self` if all others have arrived.
bool TryComplete(const Warp& warp, Thread& self) {
  for (int lane = 0; lane < warp.count; ++lane) {
    if (Has(self.mask, lane) && warp.IsLive(lane) && !InSameOp(self, warp.lanes[lane])) {
      return false;
    }
  }
  for (int lane = 0; lane < warp.count; ++lane) {
    if (!Has(self.mask, lane) || !warp.IsLive(lane)) continue;
    Thread& thread = warp.lanes[lane];
    switch (self.op) {
      case WarpOp::kSync:
        break;
      case WarpOp::kShuffle:
        thread.result = ShuffleResult(warp, thread);
        break;
      case WarpOp::kBallot:
      case WarpOp::kAny:
      case WarpOp::kAll:
      case WarpOp::kMatchAny:
      case WarpOp::kMatchAll:
        thread.result = Vote(warp, thread);
        break;
      default:
        thread.result = Reduce(warp, thread);
        break;
    }
  }
  if (self.op == WarpOp::kSync && Checker::enabled()) {
    TheChecker().OnSyncWarp(self.block->RankOf(self) / kWarpSize, self.mask);
  }
  const unsigned mask = self.mask;
  for (int lane = 0; lane < warp.count; ++lane) {
    if (Has(mask, lane) && warp.IsLive(lane)) MakeReady(warp.lanes[lane]);
  }
  return true;
}

uint64_t Meet(WarpOp op, unsigned mask, uint64_t operand, int source_lane, Site site) {
  Machine& machine = TheMachine();
  Thread& self = *machine.current;
  self.op = op;
  self.mask = mask;
  self.operand = operand;
  self.source_lane = source_lane;
  self.site = site;
  self.state = ThreadState::kAtWarpOp;
  if (!Has(mask, machine.Rank() % kWarpSize)) {
    Fail(cudaErrorLaunchFailure,
         "mask without its caller: thread " + Describe(self.index) + " in " + DescribeOp(self));
  }
  if (!TryComplete(Warp(self), self)) SwitchToScheduler();
  return self.result;
}

}  // namespace

void AfterExitFromWarp(const Thread& thread) {
  const Warp warp(thread);
  for (int lane = 0; lane < warp.count; ++lane) {
    if (warp.lanes[lane].state == ThreadState::kAtWarpOp) TryComplete(warp, warp.lanes[lane]);
  }
}

uint64_t WarpCollective(WarpOp op, unsigned mask, uint64_t operand, Site site) {
  return Meet(op, mask, operand, 0, site);
}

uint64_t WarpShuffle(Shuffle kind, unsigned mask, uint64_t operand, int argument, int width,
                     Site site) {
  const int lane = TheMachine().Rank() % kWarpSize;
  if (width < 1 || width > kWarpSize || (width & (width - 1)) != 0) {
    Fail(cudaErrorLaunchFailure, "shuffle width: " + std::to_string(width) +
                                     " is no power of two up to 32, at " + Describe(site));
  }
  const int segment = lane & ~(width - 1);
  const int last = segment + width - 1;
  int source = lane;
  switch (kind) {
    case Shuffle::kIndex:
      source = segment | (argument & (width - 1));
      break;
    case Shuffle::kUp:
      source = lane - (argument & 31);
      break;
    case Shuffle::kDown:
      source = lane + (argument & 31);
      break;
    case Shuffle::kXor:
      source = lane ^ (argument & 31);
      break;
  }
  const bool keeps_own = kind == Shuffle::kUp ? source < segment : source > last;
  return Meet(WarpOp::kShuffle, mask, operand, keeps_own ? lane : source, site);
}

}  // namespace jaxtv::emulator
