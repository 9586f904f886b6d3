// SPDX-License-Identifier: MIT
// Connected components of an image whose edges are fused or not, and means over them.
//
// Nodes are the runs of fused pixels along the last axis; a fused edge along another axis joins two
// of them. Union-find with the smaller number as root: the result does not depend on the order of
// the unions, so stripes of the image are labelled side by side and joined afterwards.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "core/image.h"
#include "cpu/threads/buffer.h"

namespace jaxtv {

// fused[a][k] is 1 where the edge from pixel k to its next neighbour along axis a joins the two,
// else 0, as at the last pixel of a line.
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
  static constexpr int64_t kStripe = 8192;  // pixels

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
        const int64_t next = row + step / length_;
        if (next < rows_ && (next < RowsEnd(s)) == inside) {
          JoinRow(row * length_, step, fused[a].data(), fused.back().data());
        }
      }
    }
  }

  // Two runs are joined at the first fused edge between them: at any other one, both go on from the
  // edge before, which is fused too.
  void JoinRow(int64_t first, int64_t step, const uint8_t* fused, const uint8_t* along) {
    constexpr int64_t kPart = 256;
    uint8_t meet[kPart];
    int32_t places[kPart];
    for (int64_t from = first; from < first + length_; from += kPart) {
      const int64_t count = std::min(kPart, first + length_ - from);
      const uint8_t *edge = fused + from, *run = along + from, *next = along + from + step;
      meet[0] = edge[0] & (from == first || !(edge[-1] & run[-1] & next[-1]));
      for (int64_t i = 1; i < count; ++i) {
        meet[i] = edge[i] & ~(edge[i - 1] & run[i - 1] & next[i - 1]);
      }
      int64_t found = 0;  // without branches, which would be mispredicted
      for (int64_t i = 0; i < count; ++i) {
        places[found] = int32_t(from + i);
        found += meet[i];
      }
      for (int64_t j = 0; j < found; ++j) Union(label_[places[j]], label_[places[j] + step]);
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
    constexpr int kRows = 4;  // at once, since each sum waits for its last addition
    int64_t row = s * rows_per_stripe_;
    for (; row + kRows <= RowsEnd(s); row += kRows) SumRows<kRows>(row * length_, values);
    for (; row < RowsEnd(s); ++row) SumRows<1>(row * length_, values);
    const int32_t first = int32_t(s * rows_per_stripe_ * length_);
    for (int32_t id = first; id < first + runs_[s]; ++id) {
      count_[id] = last_[id] - (id > first ? last_[id - 1] : first - 1);
    }
  }

  // The sums of the runs of some rows. Without branches, as runs are short and of any length.
  template <int kRows, typename T>
  void SumRows(int64_t first, const T* values) {
    double sum[kRows] = {};
    int32_t run[kRows];
    std::fill_n(run, kRows, -1);
    for (int64_t i = 0; i < length_; ++i) {
      for (int r = 0; r < kRows; ++r) {
        const int64_t k = first + r * length_ + i;
        const int32_t id = label_[k];
        sum[r] = If(id == run[r], sum[r]) + (double(values[k]) - Origin(parent_[id], values));
        run[r] = id;
        mean_[id] = sum[r];
      }
    }
  }

  // The value, or 0.
  static double If(bool condition, double value) {
    uint64_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    bits &= -uint64_t(condition);
    std::memcpy(&value, &bits, sizeof(bits));
    return value;
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
