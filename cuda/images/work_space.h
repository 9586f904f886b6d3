// SPDX-License-Identifier: MIT
// The work space of the operators on images, and how it is divided into arrays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cuda/images/components.h"

namespace jaxtv::cuda {

// Bytes for each sample, and for each sample and axis.
constexpr int64_t kComponentSampleBytes = 32, kComponentAxisBytes = 1;
constexpr int64_t kCertificateSampleBytes = 56, kCertificateAxisBytes = 10;

// The search of images needs besides a certificate's, for each sample, the number of its image and
// a point; for each axis the input of its solves; and for each image its findings, two flags, a
// weight and the plan, which comes once.
constexpr int64_t kSolveSampleBytes = kCertificateSampleBytes + 12;
constexpr int64_t kSolveAxisBytes = kCertificateAxisBytes + 8;
constexpr int64_t kSolveImageBytes = 80;

// Arrays of fewer samples have labels of 4 bytes, others of 8. The emulator of the tests, where
// arrays are small, runs both.
#if defined(JAXTV_CUDA_EMULATOR)
constexpr int64_t kNarrowLabels = 300;
#else
constexpr int64_t kNarrowLabels = int64_t(1) << 31;
#endif

// Cuts memory of a device, global or shared, into arrays, one after the other.
class WorkSpace {
 public:
  JAXTV_HD explicit WorkSpace(void* data) : at_(reinterpret_cast<uintptr_t>(data)) {}

  // An array of `count` elements, aligned. The bytes above are those of labels of 8 bytes: where
  // labels have 4, the bytes left over are more than the gaps for alignment.
  template <typename V>
  JAXTV_HD V* Take(int64_t count) {
    const uintptr_t start = (at_ + sizeof(V) - 1) / sizeof(V) * sizeof(V);
    at_ = start + uintptr_t(count) * sizeof(V);
    return reinterpret_cast<V*>(start);
  }

  template <typename Label>
  JAXTV_HD Components<Label> TakeComponents(int64_t samples) {
    Components<Label> components{samples, nullptr, nullptr, nullptr, nullptr, nullptr};
    components.high = Take<unsigned long long>(samples);
    components.low = Take<unsigned long long>(samples);
    components.parent = Take<Label>(samples);
    components.exponent = Take<int>(samples);
    components.count = Take<unsigned>(samples);
    return components;
  }

  // For each axis a byte for each sample: a flag of the edge to its next neighbour.
  std::vector<unsigned char*> TakeEdges(int64_t samples, size_t axes) {
    std::vector<unsigned char*> edges;
    for (size_t a = 0; a < axes; ++a) edges.push_back(Take<unsigned char>(samples));
    return edges;
  }

 private:
  uintptr_t at_;
};

}  // namespace jaxtv::cuda
