// SPDX-License-Identifier: MIT
// A block iterates on a region of one image in shared memory. Its threads take pixels, first for a
// step of the image, then for one of the duals.
#include <cuda_runtime.h>

#include <algorithm>

#include "core/isotropic.h"
#include "cuda/common/launch.h"
#include "cuda/isotropic/pixels.h"
#include "cuda/isotropic/planes.h"
#include "cuda/isotropic/steps.h"

namespace jaxtv::cuda {
namespace {

constexpr int kMaxThreads = 384;

// Minimum blocks per SM: without it nvcc caps registers and spills.
template <typename T>
constexpr int kBlocks = sizeof(T) == sizeof(float) ? 2 : 1;

// The part of an operand that is of one image.
template <typename V, typename T>
__device__ const V* ImageOf(const Field<V>& field, const Iterations<T>& p, int64_t image) {
  const V* data = field.data;
  for (int d = p.batch_axes - 1; d >= 0; --d) {
    data += image % p.batch[d] * field.batch[d];
    image /= p.batch[d];
  }
  return data;
}

template <typename T, int kAxes>
__device__ T At(const T* data, const Field<T>& field, int channel, const Pixel<kAxes>& pixel) {
  int offset = channel * field.stride[0];
#pragma unroll
  for (int a = 0; a < kAxes; ++a) offset += pixel.at[a] * field.stride[a + 1];
  return data[offset];
}

// A step of the image at a pixel.
template <typename T, int kAxes>
__device__ void StepImage(const Planes<T, kAxes>& planes, const StepLengths<T>& steps,
                          T one_data_weight, int c, const Pixel<kAxes>& pixel) {
  const int i = pixel.index;
  T back = T(0);
#pragma unroll
  for (int a = 0; a < kAxes; ++a) {
    const T* const dual = planes.Dual(a, c);
    const int j = i + pixel.before[a];
    // The pixel before has this edge, and the same others.
    if (j != i) back += planes.Slope(a, pixel.edges | 1u << a, j) * dual[j];
    back -= planes.Slope(a, pixel.edges, i) * dual[i];
  }
  const T weight =
      planes.data_weight == nullptr ? one_data_weight : planes.Channel(planes.data_weight, c)[i];
  T& y = planes.Channel(planes.y, c)[i];
  const T next = (y + steps.primal * (planes.Channel(planes.source, c)[i] - back)) /
                 (T(1) + steps.primal * weight);
  planes.Channel(planes.ahead, c)[i] = T(2) * next - y;
  y += steps.relaxation * (next - y);
}

__device__ inline float InverseRoot(float square) { return rsqrtf(square); }
__device__ inline double InverseRoot(double square) { return rsqrt(square); }

// A step of the duals at a pixel. `kOneChannel`: there is one.
template <typename T, int kAxes, bool kOneChannel>
__device__ void StepDuals(const Iterations<T>& p, const Planes<T, kAxes>& planes,
                          const StepLengths<T>& steps, const Pixel<kAxes>& pixel) {
  const int i = pixel.index, channels = kOneChannel ? 1 : p.channels;
  const auto moved = [&](int a, int c) {
    const T* const ahead = planes.Channel(planes.ahead, c);
    const T difference = ahead[i + pixel.after[a]] - ahead[i];
    return planes.Dual(a, c)[i] + steps.dual * (planes.Slope(a, pixel.edges, i) * difference);
  };
  // Of each group the square of its length, or its product with its direction.
  T values[kAxes], sums[kAxes], all = T(0);  // values: of the only channel
#pragma unroll
  for (int a = 0; a < kAxes; ++a) {
    sums[a] = T(0);
    for (int c = 0; c < channels; ++c) {
      const T value = values[a] = moved(a, c);
      sums[a] += value * (p.linear ? planes.Direction(a, c)[i] : value);
    }
    all += sums[a];
  }
#pragma unroll
  for (int a = 0; a < kAxes; ++a) {
    const T sum = p.isotropic ? all : sums[a], r = planes.Radius(a, pixel.edges, i);
    T factor;
    if (p.linear) {
      factor = r > T(0) ? r / (r + steps.dual * planes.Length(a)[i]) : T(0);
    } else {
      factor = sum > r * r ? r * InverseRoot(sum) : T(1);
    }
    for (int c = 0; c < channels; ++c) {
      T value = kOneChannel ? values[a] : moved(a, c);
      if (p.linear) value -= planes.Direction(a, c)[i] * sum;
      T& dual = planes.Dual(a, c)[i];
      dual += steps.relaxation * (value * factor - dual);
    }
  }
}

// Fills the planes of a region, with 0 outside of the image.
template <typename T, int kAxes>
__device__ void Load(const Iterations<T>& p, const Region<kAxes>& region, const State<T>& from,
                     int64_t image, int64_t in_channel, Planes<T, kAxes>* planes) {
  const int64_t first = image * p.channels * in_channel;
  const T *lams[kAxes], *lengths[kAxes] = {}, *directions[kAxes] = {};
#pragma unroll
  for (int a = 0; a < kAxes; ++a) {
    lams[a] = ImageOf(p.lams[a], p, image);
    if (!p.linear) continue;
    lengths[a] = ImageOf(p.lengths[a], p, image);
    directions[a] = ImageOf(p.directions[a], p, image);
  }
  const T* const data_weight = ImageOf(p.data_weight, p, image);
  if (!p.lams_vary && threadIdx.x < 1u << kAxes) {
    T of_axes[kAxes];
#pragma unroll
    for (int a = 0; a < kAxes; ++a) of_axes[a] = threadIdx.x >> a & 1 ? *lams[a] : T(0);
    planes->SetWeights({p, of_axes}, threadIdx.x, 0);
  }
  region.ForPixels([&](const Pixel<kAxes>& pixel) {
    const int i = pixel.index;
    const auto read = [&](const T* data, int64_t offset) {
      return pixel.outside ? T(0) : data[first + offset + pixel.place];
    };
    const auto at = [&](const T* data, const Field<T>& field, int c) {
      return pixel.outside ? T(0) : At(data, field, c, pixel);
    };
    for (int c = 0; c < p.channels; ++c) {
      planes->Channel(planes->y, c)[i] = read(from.y, c * in_channel);
      planes->Channel(planes->source, c)[i] = read(p.source, c * in_channel);
      if (p.data_vary)
        planes->Channel(planes->data_weight, c)[i] = at(data_weight, p.data_weight, c);
#pragma unroll
      for (int a = 0; a < kAxes; ++a) {
        planes->Dual(a, c)[i] = read(from.duals[a], c * in_channel);
        if (p.linear) planes->Direction(a, c)[i] = at(directions[a], p.directions[a], c);
      }
    }
    T of_axes[kAxes];
#pragma unroll
    for (int a = 0; a < kAxes; ++a) {
      if (p.linear) planes->Length(a)[i] = at(lengths[a], p.lengths[a], 0);
      of_axes[a] = p.lams_vary && pixel.edges >> a & 1 ? at(lams[a], p.lams[a], 0) : T(0);
    }
    if (p.lams_vary) planes->SetWeights({p, of_axes}, 0u, i);
  });
}

// Up to tiling.depth iterations of each image. Of the launches of a call, `after` follow this one.
// An image that needs fewer begins with a later one, so that all end in the same arrays: its first
// reads `given`, the others `before`.
template <typename T, int kAxes, bool kOneChannel>
__global__ void __launch_bounds__(kMaxThreads, kBlocks<T>)
    IterateOnRegions(const __grid_constant__ Iterations<T> p, const __grid_constant__ Tiling tiling,
                     const __grid_constant__ State<T> given,
                     const __grid_constant__ State<T> before, const __grid_constant__ State<T> to,
                     const int after) {
  const int64_t image = blockIdx.x / tiling.count();
  const int done = *ImageOf(p.done, p, image), due = *ImageOf(p.due, p, image);
  const int count = due - done < p.count ? max(due - done, 0) : p.count;
  const int launches = max((count + tiling.depth - 1) / tiling.depth, 1);
  if (after >= launches) return;
  const int begin = (launches - 1 - after) * tiling.depth;
  const int end = min(count, begin + tiling.depth);

  JAXTV_DYNAMIC_SHARED(T, shared);
  __shared__ T of_edges[(1 << kAxes) * 2 * kAxes];
  __shared__ StepLengths<T> steps[kMostIterations];
  const bool varied = *ImageOf(p.varied, p, image);
  for (int k = begin + int(threadIdx.x); k < end; k += int(blockDim.x)) {
    steps[k - begin] = StepsOf<T>(done + k + 1, kAxes, varied, done + k + 1 == due);
  }
  int64_t in_channel = 1;
#pragma unroll
  for (int a = 0; a < kAxes; ++a) in_channel *= tiling.axis[a].length;
  const Region<kAxes> region(tiling, p.periodic, int(blockIdx.x % tiling.count()));
  Planes<T, kAxes> planes(p, tiling.pixels(), shared, of_edges);
  Load(p, region, after + 1 == launches ? given : before, image, in_channel, &planes);
  __syncthreads();
  const T one_data_weight = *ImageOf(p.data_weight, p, image);
  for (int k = begin; k < end; ++k) {
    const StepLengths<T> step = steps[k - begin];
    region.ForPixels([&](const Pixel<kAxes>& pixel) {
      for (int c = 0; c < (kOneChannel ? 1 : p.channels); ++c) {
        StepImage(planes, step, one_data_weight, c, pixel);
      }
    });
    __syncthreads();
    region.ForPixels([&](const Pixel<kAxes>& pixel) {
      StepDuals<T, kAxes, kOneChannel>(p, planes, step, pixel);
    });
    __syncthreads();
  }
  const int64_t first = image * p.channels * in_channel;
  region.ForPixels([&](const Pixel<kAxes>& pixel) {
    if (!pixel.inner) return;
    for (int c = 0; c < p.channels; ++c) {
      const int64_t offset = first + c * in_channel + pixel.place;
      to.y[offset] = planes.Channel(planes.y, c)[pixel.index];
#pragma unroll
      for (int a = 0; a < kAxes; ++a) to.duals[a][offset] = planes.Dual(a, c)[pixel.index];
    }
  });
}

// Pixels that a block may hold, so that two blocks fit on a multiprocessor.
int64_t MostPixels(int planes, int64_t sample_bytes) {
  const int64_t of_block = SharedMemoryOfDevice(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  const int64_t in_all = SharedMemoryOfDevice(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  constexpr int64_t kStatic = 2048;  // bytes for what a block has besides planes
  return (std::min(of_block, in_all / 2) - kStatic) / (planes * sample_bytes);
}

template <typename T, int kAxes>
Status Launches(cudaStream_t stream, const Iterations<T>& p, const Tiling& tiling,
                const State<T>& from, const State<T>& to, const State<T>& spare) {
  const int64_t bytes = int64_t(PlaneCount(p, kAxes)) * tiling.pixels() * int64_t(sizeof(T));
  int threads = 64;
  while (threads < 256 && 4 * threads < tiling.pixels()) threads *= 2;
  if (8 * threads < tiling.pixels()) threads = kMaxThreads;
  const Grid grid{p.images * tiling.count(), threads, size_t(bytes), stream};
  const auto kernel =
      p.channels == 1 ? IterateOnRegions<T, kAxes, true> : IterateOnRegions<T, kAxes, false>;
  LaunchSequence launches;
  for (int64_t after = CeilDiv(p.count, tiling.depth); after-- > 0;) {
    const bool last = after % 2 == 0;
    launches.Add("IterateOnRegions", kernel, grid, p, tiling, from, last ? spare : to,
                 last ? to : spare, int(after));
  }
  return launches.status();
}

}  // namespace

bool FitsRegion(const std::vector<int64_t>& sizes, int64_t sample_bytes) {
  const size_t axes = sizes.size() - 1;
  if (axes < 1 || axes > kMaxAxes || sizes[0] > 1024) return false;
  Iterations<double> p{};
  p.channels = int(sizes[0]);
  p.data_vary = p.lams_vary = p.linear = true;
  const std::vector<int> lengths(sizes.begin() + 1, sizes.end());
  const int64_t most = MostPixels(PlaneCount(p, int(axes)), sample_bytes);
  return most > 0 && TilingFor(lengths, most, 1).depth > 0;
}

template <typename T>
Status Iterate(cudaStream_t stream, const Iterations<T>& p, const std::vector<int>& lengths,
               const State<T>& from, const State<T>& to, T* scratch) {
  const int axes = int(lengths.size());
  int64_t samples = p.images * p.channels;
  for (const int n : lengths) samples *= n;
  State<T> spare{scratch, {}};
  for (int a = 0; a < axes; ++a) spare.duals[a] = scratch + (a + 1) * samples;
  const int64_t most = MostPixels(PlaneCount(p, axes), sizeof(T));
  const Tiling tiling = TilingFor(lengths, most, p.count);
  switch (axes) {
    case 1:
      return Launches<T, 1>(stream, p, tiling, from, to, spare);
    case 2:
      return Launches<T, 2>(stream, p, tiling, from, to, spare);
    default:
      return Launches<T, 3>(stream, p, tiling, from, to, spare);
  }
}

template Status Iterate(cudaStream_t, const Iterations<float>&, const std::vector<int>&,
                        const State<float>&, const State<float>&, float*);
template Status Iterate(cudaStream_t, const Iterations<double>&, const std::vector<int>&,
                        const State<double>&, const State<double>&, double*);

}  // namespace jaxtv::cuda
