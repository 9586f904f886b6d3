// SPDX-License-Identifier: MIT
// Compares the votes of cpu/images/majority_vote.h with a count piece by piece; built with
// sanitizers by tests/test_sanitizers.py, with the kernels of no particular instruction set.
#define JAXTV_ISA portable
#include <cstdio>
#include <random>
#include <vector>

#include "cpu/images/majority_vote.h"
#include "cpu/images/pixel_kernels.cc"

namespace {

using jaxtv::FusedEdges;
using jaxtv::Image;

// Whether pixel k has a next neighbour along an axis.
bool HasEdge(const Image& image, int axis, int64_t k) {
  return k / image.Along(axis).inner % image.size[axis] != image.size[axis] - 1;
}

FusedEdges Edges(const Image& image, std::mt19937& random) {
  FusedEdges edges;
  const int64_t pixels = image.pixels(), slab = image.Along(0).inner;
  for (int a = 0; a < image.axes(); ++a) {
    edges.emplace_back(pixels + slab);
    for (int64_t k = 0; k < pixels + slab; ++k) {
      edges[a].data()[k] = k < pixels && HasEdge(image, a, k) && random() % 8 < 5;
    }
  }
  return edges;
}

// The piece of pixel k, of those with an edge along `axis`: while both ends go on along `along`.
// Whether the edges of more than half of it are fused.
bool Wins(const Image& image, const FusedEdges& edges, int axis, int along, int64_t k) {
  const int64_t step = image.Along(axis).inner, next = image.Along(along).inner;
  const uint8_t *voters = edges[axis].data(), *joined = edges[along].data();
  const auto goes_on = [&](int64_t from) { return joined[from] && joined[from + step]; };
  int64_t begin = k, end = k, votes = 0;
  while (begin / next % image.size[along] > 0 && goes_on(begin - next)) begin -= next;
  while (goes_on(end)) end += next;
  for (int64_t i = begin; i <= end; i += next) votes += voters[i] ? 1 : -1;
  return votes > 0;
}

int Check(const Image& image, std::mt19937& random) {
  int wrong = 0;
  const FusedEdges edges = Edges(image, random);
  for (int axis = 0; axis < image.axes(); ++axis) {
    const int along = axis + 1 < image.axes() ? image.axes() - 1 : 0;
    std::vector<uint8_t> kept(image.pixels());
    const auto run = [](int64_t items, const auto& body) { body(0, items); };
    jaxtv::MajorityVote(image, axis).Apply(run, edges, kept.data());
    for (int64_t k = 0; k < image.pixels(); ++k) {
      const bool want = edges[axis].data()[k] && Wins(image, edges, axis, along, k);
      wrong += want != bool(kept[k]);
    }
  }
  return wrong;
}

}  // namespace

int main() {
  std::mt19937 random(1);
  int wrong = 0;
  for (const Image& image :
       {Image{{2, 2}}, Image{{20, 33}}, Image{{33, 20}}, Image{{1, 9}}, Image{{3, 5, 4}}}) {
    for (int repeat = 0; repeat < 20; ++repeat) wrong += Check(image, random);
  }
  std::printf("%d wrong\n", wrong);
  return wrong != 0;
}
