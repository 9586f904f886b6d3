// SPDX-License-Identifier: MIT
// Connected components of an image whose edges are fused or not, and means over them.
//
// Nodes are the runs of fused pixels along the last axis; a fused edge along another axis joins two
// of them. Union-find with the smaller number as root: the result does not depend on the order of
// the unions, so stripes of the image are labelled side by side and joined afterwards.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/image.h"
#include "cpu/threads/buffer.h"

namespace jaxtv {

// fused[a][k] != 0 where the edge from pixel k to its next neighbour along axis a joins the two; 0
// at the last pixel of a line.
using FusedEdges = std::vector<Buffer<uint8_t>>;

class Components {
 public:
  // `image` must outlive this. It has less than 2^31 pixels.
  explicit Components(const Image& image)
      : image_(image),
        length_(image.size.back()),
        rows_(image.pixels() / length_),
        rows_per_stripe_(std::max<int64_t>(1, kStripe / length_)),
        stripes_((rows_ + rows_per_stripe_ - 1) / rows_per_stripe_),
        runs_(stripes_),
        label_(image.pixels()),
        last_(image.pixels()),
        parent_(image.pixels()),
        mean_(image.pixels()),
        count_(image.pixels()) {}

  template <typename Run>
  void Label(const Run& run, const FusedEdges& fused) {
    run(stripes_, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        LabelRuns(s, fused.back().data());
        Join(s, fused, /*inside=*/true);
      }
    });
    for (int64_t s = 0; s < stripes_; ++s) Join(s, fused, /*inside=*/false);
    // A parent is a smaller number, so it has found its root before.
    ForRuns([&](int32_t id) { parent_[id] = parent_[parent_[id]]; });
  }

  // mean(k) becomes the mean of `values` over the component of pixel k. Sums are of deviations from
  // one of them, as in core/run.h, so that the mean of a constant is that constant.
  template <typename Run, typename T>
  void Average(const Run& run, const T* values) {
    run(stripes_, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) SumRuns(s, values);
    });
    ForRuns([&](int32_t id) {
      const int32_t root = parent_[id];
      if (root == id) return;
      mean_[root] += mean_[id];
      count_[root] += count_[id];
    });
    ForRuns([&](int32_t id) {
      const int32_t root = parent_[id];
      mean_[id] = root == id ? Origin(id, values) + mean_[id] / double(count_[id]) : mean_[root];
    });
  }

  double mean(int64_t k) const { return mean_[label_[k]]; }

  // The means of pixels [first, end).
  template <typename T>
  void Write(int64_t first, int64_t end, T* mean) const {
    for (int64_t k = first; k < end; ++k) mean[k] = T(mean_[label_[k]]);
  }

 private:
  static constexpr int64_t kStripe = 16384;  // pixels

  // Calls f for the numbers of all runs, ascending.
  template <typename F>
  void ForRuns(const F& f) {
    for (int64_t s = 0; s < stripes_; ++s) {
      const int32_t first = int32_t(s * rows_per_stripe_ * length_);
      for (int32_t id = first; id < first + runs_[s]; ++id) f(id);
    }
  }

  int64_t RowsEnd(int64_t s) const { return std::min(rows_, (s + 1) * rows_per_stripe_); }

  // Numbers the runs of a stripe from its first pixel on, so that stripes do not share numbers.
  void LabelRuns(int64_t s, const uint8_t* fused) {
    const int64_t first = s * rows_per_stripe_ * length_, end = RowsEnd(s) * length_;
    int32_t id = int32_t(first);
    for (int64_t k = first; k < end; ++k) {
      label_[k] = id;
      last_[id] = int32_t(k);
      id += fused[k] == 0;
    }
    runs_[s] = id - int32_t(first);
    for (int32_t i = int32_t(first); i < id; ++i) parent_[i] = i;
  }

  // Joins the runs of the rows of a stripe to those of the next rows along every axis but the last:
  // of the next rows `inside` the stripe, or of those outside.
  void Join(int64_t s, const FusedEdges& fused, bool inside) {
    for (int a = 0; a + 1 < image_.axes(); ++a) {
      const int64_t step = image_.Along(a).inner;
      for (int64_t row = s * rows_per_stripe_; row < RowsEnd(s); ++row) {
        if ((row + step / length_ < RowsEnd(s)) == inside) {
          JoinRow(row * length_, step, fused[a].data());
        }
      }
    }
  }

  void JoinRow(int64_t first, int64_t step, const uint8_t* fused) {
    int32_t a = -1, b = -1;  // the pair joined last
    for (int64_t k = first; k < first + length_; ++k) {
      if (!fused[k] || (label_[k] == a && label_[k + step] == b)) continue;
      a = label_[k];
      b = label_[k + step];
      Union(a, b);
    }
  }

  void Union(int32_t a, int32_t b) {
    a = Root(a);
    b = Root(b);
    parent_[std::max(a, b)] = std::min(a, b);
  }

  int32_t Root(int32_t id) {
    while (parent_[id] != id) {
      parent_[id] = parent_[parent_[id]];
      id = parent_[id];
    }
    return id;
  }

  template <typename T>
  double Origin(int32_t root, const T* values) const {
    return double(values[last_[root]]);
  }

  template <typename T>
  void SumRuns(int64_t s, const T* values) {
    int64_t k = s * rows_per_stripe_ * length_;
    const int64_t end = RowsEnd(s) * length_;
    while (k < end) {
      const int32_t id = label_[k];
      const int64_t start = k;
      const double origin = Origin(parent_[id], values);
      double sum = 0;
      for (; k < end && label_[k] == id; ++k) sum += double(values[k]) - origin;
      mean_[id] = sum;
      count_[id] = int32_t(k - start);
    }
  }

  const Image& image_;
  int64_t length_, rows_, rows_per_stripe_, stripes_;
  std::vector<int32_t> runs_;  // per stripe
  Buffer<int32_t> label_;
  Buffer<int32_t> last_;  // the last pixel of a run
  Buffer<int32_t> parent_;
  Buffer<double> mean_;  // the mean over a run's component; until it is known, sums
  Buffer<int32_t> count_;
};

}  // namespace jaxtv
