// SPDX-License-Identifier: MIT
//
// Correct kernels, one for each way in which threads cooperate. They prove that the emulator
// computes what CUDA would and that its checker accuses nobody wrongly.
#include "launch.h"
#include "trees.h"

namespace {

constexpr int kBlock = 128;
constexpr int kTile = 32;
constexpr int kTileRows = 8;
constexpr unsigned kFullMask = 0xffffffffu;

__global__ void __launch_bounds__(kBlock)
    Saxpy(int n, float a, const float* __restrict__ x, float* __restrict__ y) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    y[i] = fmaf(a, __ldg(x + i), y[i]);
  }
}

template <typename T>
__device__ __forceinline__ T WarpSum(T value) {
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kFullMask, value, offset);
  }
  return value;
}

// The sum is valid in thread 0. `partial` may be used again after the next block barrier.
template <typename T>
__device__ T BlockSum(T value, T* partial) {
  const int warp = threadIdx.x / warpSize;
  value = WarpSum(value);
  if (threadIdx.x % warpSize == 0) partial[warp] = value;
  __syncthreads();
  T total = 0;
  if (threadIdx.x == 0) {
    for (int w = 0; w < kBlock / warpSize; ++w) total += partial[w];
  }
  return total;
}

// One block for each row.
template <typename T>
__global__ void __launch_bounds__(kBlock) RowMean(int n, const T* x, T* mean) {
  __shared__ T partial[kBlock / 32];
  __shared__ T sum;
  const T* row = x + static_cast<long long>(blockIdx.x) * n;
  T value = 0;
  for (int i = threadIdx.x; i < n; i += kBlock) value += row[i];
  const T total = BlockSum(value, partial);
  if (threadIdx.x == 0) sum = total;
  __syncthreads();
  for (int i = threadIdx.x; i < n; i += kBlock) {
    mean[static_cast<long long>(blockIdx.x) * n + i] = sum / n;
  }
}

// The last block to finish adds up what the others left, so one launch is enough.
__global__ void __launch_bounds__(kBlock)
    Sum(int n, const float* x, float* partial_sums, unsigned* ticket, float* out) {
  __shared__ float partial[kBlock / 32];
  __shared__ bool is_last;
  float value = 0;
  for (int i = blockIdx.x * kBlock + threadIdx.x; i < n; i += gridDim.x * kBlock) value += x[i];
  const float total = BlockSum(value, partial);
  if (threadIdx.x == 0) {
    partial_sums[blockIdx.x] = total;
    __threadfence();
    is_last = atomicAdd(ticket, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (!is_last) return;
  value = 0;
  for (int i = threadIdx.x; i < static_cast<int>(gridDim.x); i += kBlock) value += partial_sums[i];
  const float grand_total = BlockSum(value, partial);
  if (threadIdx.x == 0) out[0] = grand_total;
}

__global__ void __launch_bounds__(kTile* kTileRows)
    Transpose(int rows, int columns, const float* x, float* y) {
  __shared__ float tile[kTile][kTile + 1];
  int column = blockIdx.x * kTile + threadIdx.x;
  int row = blockIdx.y * kTile + threadIdx.y;
  for (int i = 0; i < kTile; i += kTileRows) {
    if (column < columns && row + i < rows) {
      tile[threadIdx.y + i][threadIdx.x] = x[(row + i) * columns + column];
    }
  }
  __syncthreads();
  column = blockIdx.y * kTile + threadIdx.x;
  row = blockIdx.x * kTile + threadIdx.y;
  for (int i = 0; i < kTile; i += kTileRows) {
    if (column < rows && row + i < columns) {
      y[(row + i) * rows + column] = tile[threadIdx.x][threadIdx.y + i];
    }
  }
}

// Inclusive prefix sums of rows, one warp for each row.
__global__ void __launch_bounds__(kBlock) Scan(int rows, int n, const double* x, double* y) {
  const int lane = threadIdx.x % warpSize;
  const int row = blockIdx.x * (kBlock / warpSize) + threadIdx.x / warpSize;
  if (row >= rows) return;
  double carry = 0;
  for (int start = 0; start < n; start += warpSize) {
    const int i = start + lane;
    double value = i < n ? x[row * n + i] : 0.0;
    for (int offset = 1; offset < warpSize; offset *= 2) {
      const double before = __shfl_up_sync(kFullMask, value, offset);
      if (lane >= offset) value += before;
    }
    value += carry;
    if (i < n) y[row * n + i] = value;
    carry = __shfl_sync(kFullMask, value, warpSize - 1);
  }
}

// Reverses groups of 32 through dynamic shared memory that only the warp itself uses.
__global__ void __launch_bounds__(kBlock) ReverseGroups(int n, int* x) {
  JAXTV_DYNAMIC_SHARED(int, buffer);
  const int lane = threadIdx.x % warpSize;
  int* const mine = buffer + (threadIdx.x - lane);
  for (int start = blockIdx.x * kBlock; start < n; start += gridDim.x * kBlock) {
    const int i = start + threadIdx.x;
    mine[lane] = i < n ? x[i] : 0;
    __syncwarp();
    const int reversed = mine[warpSize - 1 - lane];
    if (i < n) x[i] = reversed;
    __syncwarp();
  }
  // sync: redundant because nothing follows; it shows how such a place is marked.
  __syncthreads();
}

// The end of the chain that starts at each sample, by relaxed loads and stores: threads of all
// blocks shorten the way for each other.
__global__ void __launch_bounds__(kBlock) FollowChains(int n, int* next) {
  const int i = blockIdx.x * kBlock + threadIdx.x;
  if (i < n) Store(next[i], Root(next, Load(next[i])));
}

// Unites the ends of each edge: a root is linked to a smaller one. Where another thread was faster,
// what it linked to must be united with what we would have.
__global__ void __launch_bounds__(kBlock) Unite(int edges, const int* ends, int* parent) {
  const int e = blockIdx.x * kBlock + threadIdx.x;
  if (e >= edges) return;
  int a = ends[2 * e], b = ends[2 * e + 1];
  while ((a = RootByHalving(parent, a)) != (b = RootByHalving(parent, b))) {
    const int low = min(a, b), high = max(a, b);
    const int before = atomicMin(&parent[high], low);
    if (before == high) return;
    a = before;
    b = low;
  }
}

// What the root of each tree has: the number of its samples, and the largest of them.
__global__ void __launch_bounds__(kBlock)
    TellRoots(int n, int* parent, int* root, int* count, int* largest) {
  const int i = blockIdx.x * kBlock + threadIdx.x;
  if (i >= n) return;
  const int r = root[i] = RootByHalving(parent, i);
  atomicAdd(&count[r], 1);
  if (Load(largest[r]) < i) atomicMax(&largest[r], i);
}

// Each even block hands its samples to the next one, if that is not too early.
__global__ void __launch_bounds__(kBlock) HandOver(const int* x, int* message, int* flags, int* y) {
  __shared__ bool is_there;
  const int i = blockIdx.x * kBlock + threadIdx.x;
  if (blockIdx.x % 2 == 0) {
    message[i] = y[i] = x[i];
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) atomicExch(&flags[blockIdx.x], 1);
    return;
  }
  if (threadIdx.x == 0) is_there = atomicAdd(&flags[blockIdx.x - 1], 0) == 1;
  __syncthreads();
  y[i] = is_there ? message[i - kBlock] : x[i - kBlock];
}

}  // namespace

extern "C" int SampleSaxpy(int n, float a, const float* x, float* y) {
  const cudaLaunchConfig_t config = MakeConfig(3, kBlock);
  return cudaLaunchKernelEx(&config, Saxpy, n, a, x, y);
}

extern "C" int SampleRowMean(int rows, int n, const double* x, double* mean) {
  const cudaLaunchConfig_t config = MakeConfig(rows, kBlock);
  return cudaLaunchKernelEx(&config, RowMean<double>, n, x, mean);
}

extern "C" int SampleSum(int blocks, int n, const float* x, float* partial_sums, unsigned* ticket,
                         float* out) {
  const cudaLaunchConfig_t config = MakeConfig(blocks, kBlock);
  const cudaError_t error = cudaMemsetAsync(ticket, 0, sizeof(*ticket), config.stream);
  if (error != cudaSuccess) return error;
  return cudaLaunchKernelEx(&config, Sum, n, x, partial_sums, ticket, out);
}

extern "C" int SampleTranspose(int rows, int columns, const float* x, float* y) {
  const dim3 grid((columns + kTile - 1) / kTile, (rows + kTile - 1) / kTile);
  const cudaLaunchConfig_t config = MakeConfig(grid, dim3(kTile, kTileRows));
  return cudaLaunchKernelEx(&config, Transpose, rows, columns, x, y);
}

extern "C" int SampleScan(int rows, int n, const double* x, double* y) {
  const int rows_per_block = kBlock / 32;
  const cudaLaunchConfig_t config =
      MakeConfig((rows + rows_per_block - 1) / rows_per_block, kBlock);
  return cudaLaunchKernelEx(&config, Scan, rows, n, x, y);
}

extern "C" int SampleReverseGroups(int n, int* x) {
  const cudaLaunchConfig_t config = MakeConfig(2, kBlock, kBlock * sizeof(int));
  return cudaLaunchKernelEx(&config, ReverseGroups, n, x);
}

extern "C" int SampleFollowChains(int n, int* next) {
  const cudaLaunchConfig_t config = MakeConfig((n + kBlock - 1) / kBlock, kBlock);
  return cudaLaunchKernelEx(&config, FollowChains, n, next);
}

extern "C" int SampleUnite(int edges, int n, const int* ends, int* parent, int* root, int* count,
                           int* largest) {
  const cudaLaunchConfig_t by_edge = MakeConfig((edges + kBlock - 1) / kBlock, kBlock);
  const cudaError_t error = cudaLaunchKernelEx(&by_edge, Unite, edges, ends, parent);
  if (error != cudaSuccess) return error;
  const cudaLaunchConfig_t by_sample = MakeConfig((n + kBlock - 1) / kBlock, kBlock);
  return cudaLaunchKernelEx(&by_sample, TellRoots, n, parent, root, count, largest);
}

extern "C" int SampleHandOver(int blocks, const int* x, int* message, int* flags, int* y) {
  const cudaLaunchConfig_t config = MakeConfig(blocks, kBlock);
  return cudaLaunchKernelEx(&config, HandOver, x, message, flags, y);
}
