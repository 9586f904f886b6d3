// SPDX-License-Identifier: MIT
// Counts how often a prox of one line looks at a sample or a weight; a shared library for
// tests/fuzz/slow_inputs.py. Lanes take the same steps, and vertices of the taut string are pushed
// and removed once for each sample.
#include <cstdint>
#include <vector>

#include "core/tv1d.h"
#include "cpu/lines/taut_string.h"

namespace {

// A line that counts.
template <typename T>
struct Counted {
  const T* data;
  int64_t stride;
  int64_t* reads;

  T operator[](int64_t k) const {
    ++*reads;
    return data[k * stride];
  }
};

template <typename T>
int64_t Reads(const double* x, int64_t n, const double* lam, int64_t weights) {
  const std::vector<T> samples(x, x + n), edges(lam, lam + weights);
  std::vector<T> y(n);
  int64_t reads = 0;
  const auto summary = jaxtv::Summarize<T>({samples.data(), 1}, {edges.data(), weights != 1}, n);
  const Counted<T> counted{samples.data(), 1, &reads};
  const Counted<T> counted_edges{edges.data(), weights != 1, &reads};
  const jaxtv::EdgeWeights<T, Counted<T>> w(counted_edges, weights != 1, n,
                                            summary.high - summary.low);
  jaxtv::SolveLine(counted, w, n, jaxtv::Line<T>{y.data(), 1}, jaxtv::TautRest{});
  return reads;
}

}  // namespace

// `single`: in float, else in double. `weights`: 1 or n - 1.
extern "C" int64_t CountReads(const double* x, int64_t n, const double* lam, int64_t weights,
                              int32_t single) {
  return single ? Reads<float>(x, n, lam, weights) : Reads<double>(x, n, lam, weights);
}
