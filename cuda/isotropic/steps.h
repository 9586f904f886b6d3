// SPDX-License-Identifier: MIT
// Iterations of the primal-dual method of jaxtv/_plain/isotropic.py on images whose differences are
// coupled, or on the linear problem of its derivative: jaxtv/_operators/isotropic_steps.py. All
// pointers are of device memory; nothing is allocated, nothing waits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

#include "cuda/common/status.h"
#include "cuda/isotropic/tiling.h"

namespace jaxtv::cuda {

constexpr int kMaxBatch = 8;
constexpr int kMostIterations = 32;  // of a call

// Work space for an image and its duals: bytes for each sample and axis, that of channels included.
constexpr int64_t kStepsAxisBytes = 8;

// An operand that broadcasts: its strides by batch axis, and by channel and image axis.
template <typename T>
struct Field {
  const T* data;
  int64_t batch[kMaxBatch];
  int stride[1 + kMaxAxes];
};

template <typename T>
struct Iterations {
  int64_t images;
  int batch_axes;
  int64_t batch[kMaxBatch];
  int channels;
  bool isotropic, periodic, linear;
  bool data_vary, lams_vary;  // data weights, and weights of an axis, in an image
  int count;                  // at most so many iterations
  Field<int> done, due;       // of each image: it stops after the iteration of number `due`
  Field<bool> varied;         // kVaried of core/isotropic.h
  const T* source;            // contiguous, like the images of a State
  Field<T> data_weight;
  Field<T> lams[kMaxAxes], lengths[kMaxAxes], directions[kMaxAxes];
};

// An image and its duals, of each axis.
template <typename T>
struct State {
  T* y;
  T* duals[kMaxAxes];
};

// Whether a block of the current device can hold a region of images with so many channels, and of
// these lengths along their axes.
bool FitsRegion(const std::vector<int64_t>& sizes, int64_t sample_bytes);

// `scratch` has room for another State.
template <typename T>
Status Iterate(cudaStream_t stream, const Iterations<T>& p, const std::vector<int>& lengths,
               const State<T>& from, const State<T>& to, T* scratch);

}  // namespace jaxtv::cuda
