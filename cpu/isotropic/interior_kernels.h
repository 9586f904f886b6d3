// SPDX-License-Identifier: MIT
// Loops over the pixels of the interior-point method of cpu/isotropic/interior.h, which derives
// them. Compiled from interior_kernels.cc for each instruction set, and all give the same bits.
#pragma once

#include <cstdint>

namespace jaxtv {

// An image of two axes: arrays of one number for each pixel, row by row, with `length` more zeros
// on either side.
struct Interior {
  int64_t pixels, length;
  const double *data, *weight;    // x and m
  const double* radius;           // r
  const double *down, *right;     // slopes s of both axes, 0 beyond an end
  double *image, *bound, *p, *q;  // y, t, and the duals of both axes
  double *v0, *v1, *v2, *eta;     // the scaling
  double *a, *b, *c;              // A
  double *e, *f;                  // the part of a step of the duals that the image has not
  double *to_image, *to_bound, *to_p, *to_q;  // a step; at first to_image is a right side
};

// Sums over the pixels.
struct Centrality {
  double product;  // <s, z>
  double gap;      // of it what the image and its duals have
};

// Of a step.
struct StepSums {
  double shortest;  // 1 / the length at which a pixel meets its cone
  double linear, square;
};

struct InteriorKernels {
  Centrality (*scale)(const Interior& state);
  // Set what a step needs beside dy: that to products 0, and that to products mu by what the other
  // has shown.
  void (*predict)(const Interior& state);
  void (*correct)(const Interior& state, double mu);
  void (*right_side)(const Interior& state);  // of dy, in to_image
  StepSums (*finish)(const Interior& state);  // once to_image is dy
  void (*move)(const Interior& state, double length);
};

namespace portable {
const InteriorKernels& Interiors();
}
namespace avx2 {
const InteriorKernels& Interiors();
}
namespace avx512 {
const InteriorKernels& Interiors();
}

}  // namespace jaxtv
