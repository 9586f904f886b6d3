// SPDX-License-Identifier: MIT
// Connected components of an image whose edges are fused or not, and means over them.
//
// Nodes are the runs of fused pixels along the last axis; a fused edge along another axis joins two
// of them. Union-find with the smaller number as root: the result does not depend on the order of
// the unions. Stripes of the image are labelled and added up side by side; what is left to do for
// all of them in turn is to link the local roots of stripes that touch.
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
        local_(image.pixels()),
        root_(image.pixels()),
        sum_(image.pixels()),
        count_(image.pixels()),
        mean_(image.pixels()) {}

  template <typename Run>
  void Label(const Run& run, const FusedEdges& fused) {
    ForStripes(run, [&](int64_t s) {
      LabelRuns(s, fused.back().data());
      Join(s, fused, /*inside=*/true, [](int32_t) {});
      // A parent is a smaller number, so it has found its root before.
      ForRuns(s, [&](int32_t id) { local_[id] = parent_[id] = parent_[parent_[id]]; });
    });
    linked_.clear();
    for (int64_t s = 0; s < stripes_; ++s) {
      Join(s, fused, /*inside=*/false, [&](int32_t local) { linked_.push_back(local); });
    }
    for (const int32_t local : linked_) parent_[local] = Root(local);
    ForStripes(
        run, [&](int64_t s) { ForRuns(s, [&](int32_t id) { root_[id] = parent_[local_[id]]; }); });
  }

  // mean(k) becomes the mean of `values` over the component of pixel k. Sums are of deviations from
  // one of them, as in core/run.h, so that the mean of a constant is that constant.
  template <typename Run, typename T>
  void Average(const Run& run, const T* values) {
    ForStripes(run, [&](int64_t s) {
      SumRuns(s, values);
      ForRuns(s, [&](int32_t id) {
        if (local_[id] != id) AddTo(local_[id], id);
      });
    });
    for (const int32_t local : linked_) AddTo(root_[local], local);
    ForStripes(run, [&](int64_t s) {
      ForRuns(s, [&](int32_t id) {
        const int32_t root = root_[id];
        mean_[id] = Origin(root, values) + sum_[root] / double(count_[root]);
      });
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

  template <typename Run, typename F>
  void ForStripes(const Run& run, const F& f) {
    run(stripes_, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) f(s);
    });
  }

  // Calls f for the numbers of the runs of a stripe, ascending.
  template <typename F>
  void ForRuns(int64_t s, const F& f) {
    const int32_t first = int32_t(s * rows_per_stripe_ * length_);
    for (int32_t id = first; id < first + runs_[s]; ++id) f(id);
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
  // of the next rows `inside` the stripe, or of those outside. Calls linked(id) for what is no root
  // any more.
  template <typename Linked>
  void Join(int64_t s, const FusedEdges& fused, bool inside, const Linked& linked) {
    for (int a = 0; a + 1 < image_.axes(); ++a) {
      const int64_t step = image_.Along(a).inner;
      for (int64_t row = s * rows_per_stripe_; row < RowsEnd(s); ++row) {
        const int64_t next = row + step / length_;
        if (next < rows_ && (next < RowsEnd(s)) == inside) {
          JoinRow(row * length_, step, fused[a].data(), fused.back().data(), linked);
        }
      }
    }
  }

  // Two runs are joined at the first fused edge between them: at any other one, both go on from the
  // edge before, which is fused too.
  template <typename Linked>
  void JoinRow(int64_t first, int64_t step, const uint8_t* fused, const uint8_t* along,
               const Linked& linked) {
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
      for (int64_t j = 0; j < found; ++j) {
        Union(label_[places[j]], label_[places[j] + step], linked);
      }
    }
  }

  template <typename Linked>
  void Union(int32_t a, int32_t b, const Linked& linked) {
    a = Root(a);
    b = Root(b);
    if (a == b) return;
    parent_[std::max(a, b)] = std::min(a, b);
    linked(std::max(a, b));
  }

  int32_t Root(int32_t id) {
    while (parent_[id] != id) {
      parent_[id] = parent_[parent_[id]];
      id = parent_[id];
    }
    return id;
  }

  void AddTo(int32_t to, int32_t id) {
    sum_[to] += sum_[id];
    count_[to] += count_[id];
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
    int32_t before = int32_t(s * rows_per_stripe_ * length_) - 1;
    ForRuns(s, [&](int32_t id) {
      count_[id] = last_[id] - before;
      before = last_[id];
    });
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
        sum[r] = If(id == run[r], sum[r]) + (double(values[k]) - Origin(root_[id], values));
        run[r] = id;
        sum_[id] = sum[r];
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
  Buffer<int32_t> local_, root_;  // the root of a run, in its stripe and in the image
  std::vector<int32_t> linked_;   // the local roots that are not roots of the image
  Buffer<double> sum_;            // over a run, a local root's component, a component
  Buffer<int32_t> count_;
  Buffer<double> mean_;  // that of a run's component
};

}  // namespace jaxtv
