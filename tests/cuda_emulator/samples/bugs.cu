// SPDX-License-Identifier: MIT
//
// Planted bugs: each kernel is wrong in one way that the emulator must report. All take 256 floats
// in and 256 floats out, and run in two blocks of 128 threads, but for the last.
#include <cuda/atomic>

#include "launch.h"

namespace {

constexpr int kBlock = 128;
constexpr unsigned kFullMask = 0xffffffffu;

__device__ int Index() { return blockIdx.x * blockDim.x + threadIdx.x; }

__global__ void BarrierInBranch(const float* x, float* y) {
  __shared__ float shared[kBlock];
  shared[threadIdx.x] = x[Index()];
  if (threadIdx.x < 48) __syncthreads();
  y[Index()] = shared[threadIdx.x];
}

__global__ void TwoBarriers(const float* x, float* y) {
  __shared__ float shared[kBlock];
  shared[threadIdx.x] = x[Index()];
  if (threadIdx.x < 64) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  y[Index()] = shared[kBlock - 1 - threadIdx.x];
}

__global__ void MissingBarrier(const float* x, float* y) {
  __shared__ float shared[kBlock];
  shared[threadIdx.x] = x[Index()];
  y[Index()] = shared[kBlock - 1 - threadIdx.x];
}

__global__ void MissingBarrierInLoop(const float* x, float* y) {
  __shared__ float shared[kBlock];
  float sum = 0;
  for (int i = 0; i < 3; ++i) {
    shared[threadIdx.x] = x[Index()] * (i + 1);
    __syncthreads();
    sum += shared[kBlock - 1 - threadIdx.x];
  }
  y[Index()] = sum;
}

__global__ void MissingSyncwarp(const float* x, float* y) {
  __shared__ float shared[kBlock];
  shared[threadIdx.x] = x[Index()];
  y[Index()] = shared[threadIdx.x ^ 1];
}

// A shuffle makes lanes meet, but CUDA does not promise that it orders their memory accesses.
__global__ void ShuffleAsBarrier(const float* x, float* y) {
  __shared__ float shared[kBlock];
  shared[threadIdx.x] = x[Index()];
  const float other = __shfl_xor_sync(kFullMask, x[Index()], 1);
  y[Index()] = shared[threadIdx.x ^ 1] + other;
}

__global__ void StaticOverrun(const float* x, float* y) {
  __shared__ float shared[kBlock];
  shared[threadIdx.x + 1] = x[Index()];
  __syncthreads();
  y[Index()] = shared[threadIdx.x];
}

__global__ void DynamicOverrun(const float* x, float* y) {
  JAXTV_DYNAMIC_SHARED(float, shared);
  shared[threadIdx.x + 1] = x[Index()];
  __syncthreads();
  y[Index()] = x[Index()];
}

__global__ void UninitialisedShared(const float* x, float* y) {
  __shared__ float shared[kBlock];
  if (threadIdx.x != 7) shared[threadIdx.x] = x[Index()];
  __syncthreads();
  y[Index()] = shared[kBlock - 1 - threadIdx.x];
}

__global__ void UninitialisedOutput(const float* x, float* y) { y[Index()] += x[Index()]; }

__global__ void ShuffleInBranch(const float* x, float* y) {
  float value = x[Index()];
  if (threadIdx.x % 32 < 16) value += __shfl_xor_sync(kFullMask, value, 1);
  __syncthreads();
  y[Index()] = value;
}

__global__ void ShuffleFromOutside(const float* x, float* y) {
  float value = x[Index()];
  if (threadIdx.x % 32 < 16) value += __shfl_xor_sync(0x0000ffffu, value, 16);
  y[Index()] = value;
}

__global__ void MaskWithoutCaller(const float* x, float* y) {
  y[Index()] = __shfl_sync(0x0000ffffu, x[Index()], 0);
}

__global__ void BlocksCollide(const float* x, float* y) {
  y[Index()] = 0;
  if (threadIdx.x == 0) y[100] = x[Index()];
}

__global__ void ReadPastEnd(const float* x, float* y) { y[Index()] = x[Index() + 1]; }

__global__ void WriteInput(const float* x, float* y) {
  const_cast<float*>(x)[Index()] = 0;
  y[Index()] = 0;
}

__global__ void UnevenLoop(const float* x, float* y) {
  __shared__ float shared[kBlock];
  for (int i = 0; i < (threadIdx.x < 100 ? 3 : 2); ++i) {
    shared[threadIdx.x] = x[Index()];
    __syncthreads();
  }
  y[Index()] = shared[threadIdx.x];
}

__global__ void ExitBeforeBarrier(const float* x, float* y) {
  if (Index() >= 200) return;
  y[Index()] = x[Index()];
  __syncthreads();
  y[Index()] += 1;
}

__global__ void UnprotectedSum(const float* x, float* y) {
  y[Index()] = 0;
  __syncthreads();
  y[blockIdx.x * kBlock] += x[Index()];
}

// Hangs without the check build's preemption.
__global__ void SpinOnFlag(const float* x, float* y) {
  __shared__ int flag;
  if (threadIdx.x == 0) flag = 0;
  __syncthreads();
  if (threadIdx.x == 0) {
    while (*static_cast<volatile int*>(&flag) == 0) {
    }
  }
  if (threadIdx.x == kBlock - 1) *static_cast<volatile int*>(&flag) = 1;
  y[Index()] = x[Index()];
}

// A plain load of what another block stores atomically.
__global__ void PlainLoadOfAtomic(const float* x, float* y) {
  using Shared = cuda::atomic_ref<float, cuda::thread_scope_device>;
  Shared(y[Index()]).store(x[Index()], cuda::memory_order_relaxed);
  if (blockIdx.x == 1) Shared(y[Index()]).store(y[threadIdx.x], cuda::memory_order_relaxed);
}

// Waits for all blocks, of which some cannot start before others have ended.
__global__ void WaitForBlocks(const float* x, float* y, int* arrived) {
  if (threadIdx.x == 0) {
    atomicAdd(arrived, 1);
    while (atomicAdd(arrived, 0) < static_cast<int>(gridDim.x)) {
    }
  }
  if (blockIdx.x < 2) y[Index()] = x[Index()];
}

int Launch(void (*kernel)(const float*, float*), const float* x, float* y) {
  const cudaLaunchConfig_t config = MakeConfig(2, kBlock, kBlock * sizeof(float));
  return cudaLaunchKernelEx(&config, kernel, x, y);
}

}  // namespace

#define JAXTV_BUG(name) \
  extern "C" int Bug##name(const float* x, float* y) { return Launch(name, x, y); }

JAXTV_BUG(BarrierInBranch)
JAXTV_BUG(TwoBarriers)
JAXTV_BUG(MissingBarrier)
JAXTV_BUG(MissingBarrierInLoop)
JAXTV_BUG(MissingSyncwarp)
JAXTV_BUG(ShuffleAsBarrier)
JAXTV_BUG(StaticOverrun)
JAXTV_BUG(DynamicOverrun)
JAXTV_BUG(UninitialisedShared)
JAXTV_BUG(UninitialisedOutput)
JAXTV_BUG(ShuffleInBranch)
JAXTV_BUG(ShuffleFromOutside)
JAXTV_BUG(MaskWithoutCaller)
JAXTV_BUG(BlocksCollide)
JAXTV_BUG(ReadPastEnd)
JAXTV_BUG(WriteInput)
JAXTV_BUG(UnevenLoop)
JAXTV_BUG(ExitBeforeBarrier)
JAXTV_BUG(UnprotectedSum)
JAXTV_BUG(SpinOnFlag)
JAXTV_BUG(PlainLoadOfAtomic)

extern "C" int BugWaitForBlocks(const float* x, float* y, int* arrived) {
  const cudaLaunchConfig_t config = MakeConfig(20, kBlock);
  return cudaLaunchKernelEx(&config, WaitForBlocks, x, y, arrived);
}

// A launch with any configuration, of a kernel that does nothing.
namespace {
__global__ void Nothing() {}
}  // namespace

extern "C" int LaunchNothing(unsigned grid, unsigned block, size_t dynamic_bytes, int opt_in) {
  if (opt_in >= 0) {
    const cudaError_t error =
        cudaFuncSetAttribute(Nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, opt_in);
    if (error != cudaSuccess) return error;
  }
  const cudaLaunchConfig_t config = MakeConfig(grid, block, dynamic_bytes);
  return cudaLaunchKernelEx(&config, Nothing);
}
