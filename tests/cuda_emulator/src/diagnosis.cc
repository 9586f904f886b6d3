// SPDX-License-Identifier: MIT
//
// Words for errors.
#include <cstdio>
#include <cstring>

#include "machine.h"
#include "module.h"

namespace jaxtv::emulator {
namespace {

const char* Name(Barrier barrier) {
  switch (barrier) {
    case Barrier::kPlain:
      return "__syncthreads";
    case Barrier::kCount:
      return "__syncthreads_count";
    case Barrier::kAnd:
      return "__syncthreads_and";
    default:
      return "__syncthreads_or";
  }
}

const char* Name(WarpOp op) {
  switch (op) {
    case WarpOp::kSync:
      return "__syncwarp";
    case WarpOp::kShuffle:
      return "__shfl_sync";
    case WarpOp::kBallot:
      return "__ballot_sync";
    case WarpOp::kAny:
      return "__any_sync";
    case WarpOp::kAll:
      return "__all_sync";
    case WarpOp::kMatchAny:
      return "__match_any_sync";
    case WarpOp::kMatchAll:
      return "__match_all_sync";
    default:
      return "__reduce_sync";
  }
}

// The first lane named by the mask of `waiting` that is not in the same operation.
std::string DescribeMissingLane(const Thread& waiting) {
  const Block& block = *waiting.block;
  const int first = block.RankOf(waiting) / kWarpSize * kWarpSize;
  for (int lane = 0; lane < kWarpSize && first + lane < block.num_threads; ++lane) {
    const Thread& other = block.threads[first + lane];
    if (!((waiting.mask >> lane) & 1u) || other.state == ThreadState::kExited) continue;
    if (other.state == ThreadState::kAtWarpOp && other.op == waiting.op &&
        other.site.line == waiting.site.line && other.mask == waiting.mask) {
      continue;
    }
    return "thread " + Describe(other.index) + " of that mask waits in " + DescribeOp(other);
  }
  return "";
}

}  // namespace

uint3 IndexOf(int rank) {
  const unsigned r = static_cast<unsigned>(rank);
  return {r % blockDim.x, r / blockDim.x % blockDim.y, r / (blockDim.x * blockDim.y)};
}

std::string Describe(const Site& site) {
  const char* slash = std::strrchr(site.file, '/');
  return std::string(slash ? slash + 1 : site.file) + ":" + std::to_string(site.line);
}

std::string Describe(const uint3& index) {
  return "(" + std::to_string(index.x) + "," + std::to_string(index.y) + "," +
         std::to_string(index.z) + ")";
}

std::string DescribeOp(const Thread& thread) {
  if (thread.state == ThreadState::kAtBarrier) {
    return std::string(Name(thread.barrier)) + " at " + Describe(thread.site);
  }
  char mask[16];
  std::snprintf(mask, sizeof(mask), "0x%08x", thread.mask);
  return std::string(Name(thread.op)) + " with mask " + mask + " at " + Describe(thread.site);
}

std::string KernelName() { return TheModule().FunctionName(TheMachine().call.kernel); }

std::string DescribeDeadlock() {
  const Block& block = *TheMachine().block;
  const Thread* at_barrier = nullptr;
  int num_exited = 0, num_at_barrier = 0;
  for (int rank = 0; rank < block.num_threads; ++rank) {
    const Thread& thread = block.threads[rank];
    if (thread.state == ThreadState::kAtWarpOp) {
      return "divergent warp operation: thread " + Describe(thread.index) + " waits in " +
             DescribeOp(thread) + ", but " + DescribeMissingLane(thread);
    }
    if (thread.state == ThreadState::kExited) ++num_exited;
    if (thread.state == ThreadState::kAtBarrier) {
      ++num_at_barrier;
      at_barrier = &thread;
    }
  }
  return "divergent barrier: " + std::to_string(num_exited) +
         " threads of the block exited while " + std::to_string(num_at_barrier) + " wait in " +
         DescribeOp(*at_barrier);
}

}  // namespace jaxtv::emulator
