// SPDX-License-Identifier: MIT
//
// Planted races between blocks. Every access that meets another is atomic, so nothing is undefined
// and no rule of the checker is broken; blocks one after the other give the right result. Only a
// switch of blocks at the wrong place does not.
//
// Eight blocks; but for Flatten, the first thread of each does all. All take 256 numbers in, 256
// numbers in and out, and as many zeros to work with.
#include "launch.h"
#include "trees.h"

namespace {

constexpr int kBlocks = 8;
constexpr int kThreads = 32;
constexpr int kRounds = 32;

// A thread stores the root of its sample while others halve their ways through that sample. One
// that has read a former ancestor stores it over the root, so the sample hangs from an inner node.
__global__ void Flatten(const int*, int* parent, int*) {
  const int at = blockIdx.x * kThreads + threadIdx.x;
  Store(parent[at], RootByHalving(parent, at));
}

__global__ void LostUpdate(const int*, int* count, int*) {
  if (threadIdx.x != 0) return;
  for (int i = 0; i < kRounds; ++i) Store(count[0], Load(count[0]) + 1);
}

__global__ void LostMaximum(const int* x, int* largest, int*) {
  if (threadIdx.x != 0) return;
  for (int i = 0; i < kRounds; ++i) {
    const int value = x[blockIdx.x * kRounds + i];
    if (Load(largest[i]) < value) Store(largest[i], value);
  }
}

// Counts what a reader misses of a message that is said to be there.
__global__ void FlagBeforeData(const int*, int* missed, int* data) {
  if (threadIdx.x != 0) return;
  int* const flags = data + kRounds;
  for (int i = 0; i < kRounds; ++i) {
    if (blockIdx.x % 2 == 0) {
      Store(flags[i], 1);
      Store(data[i], 1);
    } else if (Load(flags[i]) == 1 && Load(data[i]) == 0) {
      Store(missed[i], 1);
    }
  }
}

// Who links a root does not see that another block has just linked it elsewhere.
__global__ void DoubleLink(const int* x, int* parent, int*) {
  if (threadIdx.x != 0) return;
  for (int e = blockIdx.x; e < kBlocks * kRounds / 2; e += kBlocks) {
    const int a = Root(parent, x[2 * e]), b = Root(parent, x[2 * e + 1]);
    if (a != b) Store(parent[max(a, b)], min(a, b));
  }
}

// Half of the blocks add to the root of a sample, the others link that root to its final one and
// carry the sum along: what is added in between stays behind.
__global__ void StaleRoot(const int*, int* sums, int* shift) {
  if (threadIdx.x != 0) return;
  for (int i = 0; i < kRounds; ++i) {
    const int root = kRounds + i;  // a root until its shift is set; then root - kRounds is
    if (blockIdx.x % 2 == 0) {
      atomicAdd(&sums[root - Load(shift[i])], 1);
    } else if (atomicExch(&shift[i], kRounds) == 0) {
      atomicAdd(&sums[root - kRounds], atomicExch(&sums[root], 0));
    }
  }
}

// The last one to come takes the sum, but others have not added their part yet.
__global__ void PartialSum(const int* x, int* total, int* sums) {
  if (threadIdx.x != 0) return;
  int* const tickets = sums + kRounds;
  for (int i = 0; i < kRounds; ++i) {
    const bool is_last = atomicAdd(&tickets[i], 1) == kBlocks - 1;
    atomicAdd(&sums[i], x[blockIdx.x * kRounds + i]);
    if (is_last) Store(total[i], Load(sums[i]));
  }
}

}  // namespace

#define JAXTV_RACE(name)                                             \
  extern "C" int Race##name(const int* x, int* y, int* work) {       \
    const cudaLaunchConfig_t config = MakeConfig(kBlocks, kThreads); \
    return cudaLaunchKernelEx(&config, name, x, y, work);            \
  }

JAXTV_RACE(Flatten)
JAXTV_RACE(LostUpdate)
JAXTV_RACE(LostMaximum)
JAXTV_RACE(FlagBeforeData)
JAXTV_RACE(DoubleLink)
JAXTV_RACE(StaleRoot)
JAXTV_RACE(PartialSum)
