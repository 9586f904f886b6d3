// SPDX-License-Identifier: MIT
// The duality gap at a point of each image, and the bound of its distance to the prox: the sums
// that the header comment of cpu/images/certificate.h derives.
#pragma once

#include <vector>

#include "cuda/images/certificate.h"

namespace jaxtv::cuda {

// Both sums, over a line or over an image.
struct GapTerms {
  double square;  // |z - r|^2
  double excess;  // sum of w |Dz| - p Dz
};

// Work space of the sums: an array of each term with a number for each line, and one for each
// image.
struct GapSpace {
  double *squares, *excesses;
  GapTerms* of_images;
};

// A bound of the relative rounding error of the sums over the lines and over an image.
template <typename T>
double GapRounding(const std::vector<SolvedAxis<T>>& axes);

// For images that are wanted. `duals`: p along each axis. `residual`: r.
template <typename T>
Status GapAndBound(cudaStream_t stream, const std::vector<SolvedAxis<T>>& axes, int64_t images,
                   const T* z, const std::vector<T*>& duals, const double* residual,
                   const GapSpace& space, const WantedLines& wanted, T* gap, T* bound);

}  // namespace jaxtv::cuda
