// SPDX-License-Identifier: MIT
// An order of the pixels of an image of two axes in which matrices D^T A D have short columns.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "cpu/isotropic/this_processor.h"

namespace jaxtv {

// Pixels are taken diagonal by diagonal. A pixel meets the next ones down and to the right, both on
// the next diagonal, and these two meet, side by side; so columns reach no further than a diagonal
// is long. Row by row they would reach as far everywhere, for twice the work.
class DiagonalOrder {
 public:
  DiagonalOrder(int64_t rows, int64_t length)
      : count(rows * length),
        padded((count + kPanel - 1) / kPanel * kPanel),
        length(length),
        rows_(rows) {
    std::vector<int64_t> last(static_cast<size_t>(padded)), down, right;
    int64_t first = 0;
    place.resize(size_t(count));
    for (int64_t d = 0; d + 1 < rows + length; first += Size(d++)) {
      for (int64_t i = Top(d); i < Top(d) + Size(d); ++i) {
        place[size_t(i * length + d - i)] = first + i - Top(d);
      }
    }
    for (int64_t k = 0; k < count; ++k) {
      right.push_back((k + 1) % length > 0 ? place[size_t(k + 1)] : -1);
      down.push_back(k + length < count ? place[size_t(k + length)] : -1);
      last[size_t(place[size_t(k)])] = std::max({place[size_t(k)], right.back(), down.back()});
    }
    SetColumns(last);
    for (int64_t k = 0; k < count; ++k) {
      const int64_t here = place[size_t(k)], column = start[size_t(here)];
      const int64_t to_down = down[size_t(k)], to_right = right[size_t(k)];
      const int64_t across = to_down < 0 || to_right < 0 ? -1 : start[size_t(to_right)] + 1;
      pixels.push_back({column, to_down < 0 ? elements : column + to_down - here,
                        to_right < 0 ? elements : column + to_right - here,
                        across < 0 ? elements : across});
    }
  }

  // Elements of the matrix: of a pixel with itself, with those down and to the right, and of these
  // two with each other; `elements` where one of them is beyond an end.
  struct Pixel {
    int64_t self, down, right, across;
  };

  const int64_t count, padded, length;
  int64_t elements = 0;
  std::vector<int64_t> place, start, end;  // of pixels; of columns and of panels, as Profile has it
  std::vector<Pixel> pixels;

 private:
  // The first row of a diagonal, and how many pixels it has.
  int64_t Top(int64_t d) const { return std::max<int64_t>(0, d - length + 1); }
  int64_t Size(int64_t d) const { return std::min(d, rows_ - 1) - Top(d) + 1; }

  // From the last row of each column.
  void SetColumns(const std::vector<int64_t>& last) {
    int64_t final_row = 0;
    for (int64_t j = 0; j < padded; j += kPanel) {
      for (int64_t c = j; c < j + kPanel; ++c)
        final_row = std::max({final_row, c, last[size_t(c)]});
      end.push_back(final_row);
      for (int64_t c = j; c < j + kPanel; ++c) {
        start.push_back(elements);
        elements += final_row - c + kAtOnce;
      }
    }
  }

  int64_t rows_;
};

// One for all images of a call, made when the first of them wants it.
class SharedOrder {
 public:
  SharedOrder(int64_t rows, int64_t length) : rows_(rows), length_(length) {}

  const DiagonalOrder& Get() const {
    std::call_once(made_, [this] { order_.emplace(rows_, length_); });
    return *order_;
  }

 private:
  int64_t rows_, length_;
  mutable std::once_flag made_;
  mutable std::optional<DiagonalOrder> order_;
};

}  // namespace jaxtv
