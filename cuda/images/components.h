// SPDX-License-Identifier: MIT
// Means over connected components of the samples of an array, of which some edges join.
//
// A component is a tree of samples whose root is the one that comes first in memory. Trees start as
// the runs along one axis; every joined edge along another axis then links the roots of its ends by
// an atomic minimum. Whatever the order of the links, the roots are the same in the end, and sums
// over components are sums of integers (core/fixed_sum.h): the result has the same bits in every
// run.
#pragma once

#include <vector>

#include "core/line.h"
#include "cuda/common/status.h"
#include "cuda/lines/wanted_lines.h"

namespace jaxtv::cuda {

// Arrays of `samples` elements in device memory. Sums, exponents and counts are those of a
// component, at its root.
template <typename Label>
struct Components {
  int64_t samples;
  unsigned long long *high, *low;  // of the sums
  Label* parent;
  int* exponent;
  unsigned* count;
};

// `joined[a]` is not 0 where the edge from a sample to its next neighbour along axis a joins, and 0
// at the last sample of a line. `Value` is float or double, T the type of the mean. Where `level`,
// if given, is NaN, the result is NoDerivative of the value. Of images that are not wanted, the
// mean may be anything.
template <typename T, typename Value, typename Label>
Status MeanOfComponents(cudaStream_t stream, const std::vector<Lines>& axes,
                        const std::vector<const unsigned char*>& joined, const Value* values,
                        const T* level, T* mean, const Components<Label>& components,
                        const WantedLines& wanted = {});

}  // namespace jaxtv::cuda
