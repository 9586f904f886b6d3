// SPDX-License-Identifier: MIT
// The kernels for images of all kinds, and the choice of others for those that these need not take.
// One block for an image, or for a tile of images whose pixels alternate in memory (channels last).
// Half sweeps alternate with passes over pixels: in a half sweep a thread takes a line, in a pass
// over pixels neighbouring threads take neighbours in memory.
#include "core/run.h"
#include "core/sweeps.h"
#include "core/tv1d.h"
#include "cuda/common/launch.h"
#include "cuda/images/image_tile.h"
#include "cuda/images/sweeps.h"
#include "cuda/images/sweeps_in_step.h"
#include "cuda/lines/prox_in_step.h"

namespace jaxtv::cuda {
namespace {

constexpr int kMaxThreads = 256;
constexpr int kBlocks = 2;  // minimum blocks per SM: without it nvcc caps registers and spills

// The weights along an axis.
template <typename T>
struct Weights {
  WeightLayout layout;
  const T* lam;

  __device__ Line<const T> operator()(int64_t line) const { return layout.At(lam, line); }
};

// Tables in shared memory for the lines of a half sweep.
struct LineTables {
  float* inverses;  // inverses[d] = 1 / d
  uint8_t* free;    // whether the line's one weight is 0, so that it is kFree

  __device__ LineTables(void* memory, const SweepImages& images) {
    const int longer = images.height > images.width ? images.height : images.width;
    inverses = static_cast<float*>(memory);
    free = reinterpret_cast<uint8_t*>(inverses + longer + 1);
    for (int d = threadIdx.x; d <= longer; d += blockDim.x) inverses[d] = 1.0f / float(d);
  }
};

// Solves lines of float with one weight, in step. False if ProxLine must solve the line.
template <typename T>
__device__ bool WalkOnChip(const Line<const T>& z, const Line<const T>& lam, int n,
                           const LineTables& tables, const Line<T>& y) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (lam.stride != 0) return false;
    const SlottedLine<int> line{z.data, y.data, int(z.stride)};
#pragma unroll 8
    for (int k = 0; k < n; ++k) line.slots[k * line.stride] = kUnset;
    return ProxInStep(line, tables.inverses, lam[0], n, Line<float>{line.slots, line.stride});
  }
  return false;
}

// The code (core/sweeps.h) of pixel (i, j) after a half sweep along an axis with the result `y`.
template <typename T>
__device__ int Code(const ImageTile& tile, const Weights<T>& weights, const LineTables& tables,
                    int axis, int i, int j, int c, const T* y) {
  const int k = axis == 0 ? i : j, r = axis == 0 ? j : i;
  const int n = axis == 0 ? tile.images.height : tile.images.width;
  if (k == n - 1) return tables.free[tile.OfImage(axis, c, r)] != 0 ? kFree : kPlain;
  const int code = CodeOf(y[0], y[axis == 0 ? tile.stride : 1]);
  const bool may_cut = weights.layout.edge_stride != 0 && code == kTied;
  return may_cut && weights(tile.NumberOf(axis, c, r))[k] == T(0) ? kCut : code;
}

template <typename T, typename S>
__global__ void __launch_bounds__(kMaxThreads, kBlocks)
    SweepImagesOnChip(const __grid_constant__ SweepImages images, const int per_tile,
                      const __grid_constant__ Weights<T> along_height,
                      const __grid_constant__ Weights<T> along_width, const S* __restrict__ x,
                      S* __restrict__ y, uint8_t* __restrict__ bits) {
  JAXTV_DYNAMIC_SHARED(T, z);
  const ImageTile tile(images, per_tile);
  T* const solved = z + tile.count * tile.area;
  const LineTables tables(solved + tile.count * tile.area, images);
  const int64_t pixels = images.Pixels(), base = tile.sample * pixels;
  const int half_sweeps = 2 * images.num_sweeps, planes = int(CodePlanes(half_sweeps));
  uint8_t* const codes = bits == nullptr ? nullptr : bits + base * planes;
  unsigned bad = 0;
  tile.ForPixels([&](int, int, int, int slot, int64_t at) { z[slot] = Widened(x[base + at]); });
  __syncthreads();
  for (int half = 0; half < half_sweeps; ++half) {
    const int axis = (images.first_axis + half) % 2;
    const Weights<T>& weights = axis == 0 ? along_height : along_width;
    const int n = axis == 0 ? images.height : images.width;
    for (int l = threadIdx.x; l < tile.LinesAlong(axis); l += blockDim.x) {
      const Line<const T> lam = weights(tile.Number(axis, l));
      const Line<const T> row = tile.Row<const T>(axis, l, z);
      const Line<T> out = tile.Row(axis, l, solved);
      if (!WalkOnChip(row, lam, n, tables, out)) ProxLine(row, lam, n, out);
      tables.free[l] = lam.stride == 0 && n > 1 && lam[0] == T(0);
    }
    __syncthreads();
    tile.ForPixels([&](int i, int j, int c, int slot, int64_t at) {
      const T value = solved[slot];
      if (half < half_sweeps - 1) {
        const T taken = z[slot] - value, from = Widened(x[base + at]);
        z[slot] = taken == T(0) ? from : from - taken;  // as on the CPU
      } else {
        Store(value, y + base + at);
        bad |= unsigned(value != value) << c;
      }
      if (codes == nullptr) return;
      uint8_t* const code = codes + half / kCodesPerByte * pixels + at;
      const int shift = CodeShift(half);
      const int before = shift == 0 ? 0 : *code;
      *code = uint8_t(before | Code(tile, weights, tables, axis, i, j, c, solved + slot) << shift);
    });
    __syncthreads();
  }
  // An image with a NaN becomes NaN altogether.
  unsigned spoilt = 0;
  for (int c = 0; c < tile.count; ++c) spoilt |= unsigned(__syncthreads_or(bad >> c & 1) != 0) << c;
  if (spoilt == 0) return;
  tile.ForPixels([&](int, int, int c, int, int64_t at) {
    if ((spoilt >> c & 1) == 0) return;
    Store(std::numeric_limits<T>::quiet_NaN(), y + base + at);
    for (int p = 0; codes != nullptr && p < planes; ++p) codes[p * pixels + at] = kAllBad;
  });
}

// The cotangents of the weights along an axis.
template <typename T>
struct WeightCotangents {
  T* data;
  bool edges;
  int64_t inner;

  __device__ Line<T> At(int64_t line, int n) const {
    return Lines{0, edges ? n - 1 : 1, inner}.At(data, line);
  }
};

template <typename T>
__device__ void ReverseHalf(const ImageTile& tile, int axis, int shift, bool first,
                            const WeightCotangents<T>& lam_bar, const uint8_t* codes,
                            const T* following, T* total) {
  const int n = axis == 0 ? tile.images.height : tile.images.width;
  for (int l = threadIdx.x; l < tile.LinesAlong(axis); l += blockDim.x) {
    const Line<T> to = lam_bar.At(tile.Number(axis, l), n);
    for (int k = 0; first && k < (lam_bar.edges ? n - 1 : 1); ++k) to[k] = T(0);
    const Line<const uint8_t> line = tile.Row(axis, l, codes);
    ReverseLine([&](int64_t k) { return line[k] >> shift & 3; }, tile.Row(axis, l, following), n,
                tile.Row(axis, l, total),
                [&](int64_t k, T each) { to[lam_bar.edges ? k : 0] -= each; });
  }
}

template <typename T, typename S>
__global__ void __launch_bounds__(kMaxThreads, kBlocks)
    ReverseImagesOnChip(const __grid_constant__ SweepImages images, const int per_tile,
                        const __grid_constant__ WeightCotangents<T> along_height,
                        const __grid_constant__ WeightCotangents<T> along_width,
                        const S* __restrict__ y_bar, const uint8_t* __restrict__ bits,
                        S* __restrict__ x_bar) {
  JAXTV_DYNAMIC_SHARED(T, totals);  // along the axis that a sweep begins with
  const ImageTile tile(images, per_tile);
  T* const second = totals + tile.count * tile.area;  // along the other axis
  uint8_t* const codes = reinterpret_cast<uint8_t*>(second + tile.count * tile.area);
  const int64_t pixels = images.Pixels(), base = tile.sample * pixels;
  const int half_sweeps = 2 * images.num_sweeps;
  const uint8_t* const planes = bits + base * CodePlanes(half_sweeps);
  // The cotangent of the result stands in for a total until the first half sweep has read it.
  tile.ForPixels([&](int, int, int, int slot, int64_t at) {
    totals[slot] = Widened(y_bar[base + at]);
    second[slot] = T(0);
  });
  for (int half = half_sweeps - 1; half >= 0; --half) {
    const int axis = (images.first_axis + half) % 2;
    const WeightCotangents<T>& lam_bar = axis == 0 ? along_height : along_width;
    if (half == half_sweeps - 1 || half % kCodesPerByte == kCodesPerByte - 1) {
      tile.ForPixels([&](int, int, int, int slot, int64_t at) {
        codes[slot] = planes[half / kCodesPerByte * pixels + at];
      });
    }
    __syncthreads();
    ReverseHalf<T>(tile, axis, CodeShift(half), half >= half_sweeps - 2, lam_bar, codes,
                   half % 2 == 1 ? totals : second, half % 2 == 1 ? second : totals);
    __syncthreads();
    if (half == half_sweeps - 1) {
      tile.ForPixels([&](int, int, int, int slot, int64_t) { totals[slot] = T(0); });
    }
  }
  tile.ForPixels(
      [&](int, int, int, int slot, int64_t at) { Store(totals[slot], x_bar + base + at); });
}

// Launches a kernel with as many images in a block as coalesce, if they fit without opting in.
template <typename... Parameters, typename... Arguments>
Status LaunchImages(const char* name, void (*kernel)(const SweepImages, const int, Parameters...),
                    cudaStream_t stream, const SweepImages& images, int64_t sample_bytes,
                    const Arguments&... arguments) {
  const int64_t each = SharedBytes(images.height, images.width, sample_bytes);
  int64_t tile = images.inner < kMaxTile ? images.inner : kMaxTile;
  if (tile * each > kUnasked) tile = kUnasked / each;
  if (tile < 1) tile = 1;
  const int64_t lines = tile * (images.height > images.width ? images.height : images.width);
  const int threads = lines < kMaxThreads ? int(CeilDiv(lines, 32) * 32) : kMaxThreads;
  const int64_t blocks = images.outer * images.between * CeilDiv(images.inner, tile);
  const Grid grid{blocks, threads, size_t(tile * each), stream};
  return Launch(name, kernel, grid, images, int(tile), arguments...);
}

}  // namespace

bool FitsShared(int64_t height, int64_t width, int64_t sample_bytes) {
  const int64_t most = SharedMemoryOfDevice(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  return SharedBytes(height, width, sample_bytes) <= most;
}

template <typename T, typename S>
Status Sweeps(cudaStream_t stream, const SweepImages& images, const WeightLayout (&weights)[2],
              const S* x, const T* const (&lam)[2], S* y, uint8_t* bits) {
  if constexpr (sizeof(T) == sizeof(float)) {
    const bool per_line = weights[0].edge_stride == 0 && weights[1].edge_stride == 0;
    const int per_tile = per_line ? ImagesInStep(images) : 0;
    if (per_tile > 0) return SweepsInStep(stream, images, per_tile, weights, x, lam, y, bits);
  }
  return LaunchImages("SweepImagesOnChip", SweepImagesOnChip<T, S>, stream, images, sizeof(T),
                      Weights<T>{weights[0], lam[0]}, Weights<T>{weights[1], lam[1]}, x, y, bits);
}

template <typename T, typename S>
Status SweepsReverse(cudaStream_t stream, const SweepImages& images, const bool (&edges)[2],
                     const S* y_bar, const uint8_t* bits, S* x_bar, T* const (&lam_bar)[2]) {
  if constexpr (sizeof(T) == sizeof(float)) {
    const int per_tile = edges[0] || edges[1] ? 0 : ImagesInStep(images);
    if (per_tile > 0) {
      return SweepsReverseInStep(stream, images, per_tile, y_bar, bits, x_bar, lam_bar);
    }
  }
  const auto along = [&](int axis) {
    return WeightCotangents<T>{lam_bar[axis], edges[axis], images.Along(axis).inner};
  };
  return LaunchImages("ReverseImagesOnChip", ReverseImagesOnChip<T, S>, stream, images, sizeof(T),
                      along(0), along(1), y_bar, bits, x_bar);
}

#define JAXTV_INSTANTIATE(T, S)                                                                \
  template Status Sweeps(cudaStream_t, const SweepImages&, const WeightLayout(&)[2], const S*, \
                         const T* const(&)[2], S*, uint8_t*);                                  \
  template Status SweepsReverse(cudaStream_t, const SweepImages&, const bool (&)[2], const S*, \
                                const uint8_t*, S*, T* const(&)[2]);
JAXTV_INSTANTIATE(float, float)
JAXTV_INSTANTIATE(float, __half)
JAXTV_INSTANTIATE(float, __nv_bfloat16)
JAXTV_INSTANTIATE(double, double)
#undef JAXTV_INSTANTIATE

}  // namespace jaxtv::cuda
