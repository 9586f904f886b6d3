// SPDX-License-Identifier: MIT
// Plain loops, as in row_kernels.cc.
#include "cpu/isotropic/profile_kernels.h"

#include "cpu/simd/rows.h"

namespace jaxtv {
namespace JAXTV_ISA {
namespace {

// Four columns of the lower triangle, from the row `from` on.
struct Columns {
  const double* JAXTV_RESTRICT c0;
  const double* JAXTV_RESTRICT c1;
  const double* JAXTV_RESTRICT c2;
  const double* JAXTV_RESTRICT c3;
};

struct Factors {
  double f0, f1, f2, f3;
};

inline Columns From(const Profile& profile, int64_t j, int64_t row) {
  const auto column = [&](int64_t q) {
    return profile.elements + profile.start[j + q] + (row - j - q);
  };
  return {column(0), column(1), column(2), column(3)};
}

// Takes four multiples of columns from n numbers.
inline void Subtract(const Columns& columns, const Factors& f, int64_t n,
                     double* JAXTV_RESTRICT from) {
  const auto [c0, c1, c2, c3] = columns;
  for (int64_t i = 0; i < n; i += kAtOnce) {
    for (int64_t k = i; k < i + kAtOnce; ++k) {
      from[k] = from[k] - f.f0 * c0[k] - f.f1 * c1[k] - f.f2 * c2[k] - f.f3 * c3[k];
    }
  }
}

// Takes from the columns of a panel what those before them in it bring. False as `factor`.
inline bool FactorPanel(const Profile& profile, int64_t j, int64_t end) {
  for (int64_t c = j; c < j + kPanel; ++c) {
    double* JAXTV_RESTRICT column = profile.elements + profile.start[c];
    for (int64_t b = j; b < c; ++b) {
      const double* JAXTV_RESTRICT before = profile.elements + profile.start[b] + (c - b);
      const double factor = before[0] * profile.inverse[b];
      for (int64_t i = 0; i <= end - c; i += kAtOnce) {
        for (int64_t k = i; k < i + kAtOnce; ++k) column[k] -= factor * before[k];
      }
    }
    if (!(column[0] > 0)) return false;
    profile.inverse[c] = 1 / column[0];
  }
  return true;
}

bool Factor(const Profile& profile) {
  for (int64_t j = 0; j < profile.size; j += kPanel) {
    const int64_t end = profile.end[j / kPanel];
    if (!FactorPanel(profile, j, end)) return false;
    const double* inverse = profile.inverse + j;
    for (int64_t c = j + kPanel; c <= end; ++c) {
      const Columns columns = From(profile, j, c);
      const Factors factors{columns.c0[0] * inverse[0], columns.c1[0] * inverse[1],
                            columns.c2[0] * inverse[2], columns.c3[0] * inverse[3]};
      Subtract(columns, factors, end - c + 1, profile.elements + profile.start[c]);
    }
  }
  return true;
}

// The product of a column with n numbers, in an order that does not depend on vectors.
inline double Product(const double* JAXTV_RESTRICT column, const double* JAXTV_RESTRICT x,
                      int64_t n) {
  double s[kAtOnce] = {};
  for (int64_t i = 0; i < n; i += kAtOnce) {
    for (int k = 0; k < kAtOnce; ++k) s[k] += column[i + k] * x[i + k];
  }
  return (s[0] + s[2]) + (s[1] + s[3]);
}

void Solve(const Profile& profile, double* JAXTV_RESTRICT x) {
  const auto at = [&](int64_t j, int q, int row) {  // an element within a panel
    return profile.elements[profile.start[j + q] + row - q];
  };
  for (int64_t j = 0; j < profile.size; j += kPanel) {
    const double* inverse = profile.inverse + j;
    double f[kPanel];
    for (int q = 0; q < kPanel; ++q) {
      double rest = x[j + q];
      for (int b = 0; b < q; ++b) rest -= f[b] * at(j, b, q);
      x[j + q] = rest;
      f[q] = rest * inverse[q];
    }
    const int64_t next = j + kPanel, end = profile.end[j / kPanel];
    Subtract(From(profile, j, next), {f[0], f[1], f[2], f[3]}, end - next + 1, x + next);
  }
  for (int64_t j = profile.size - kPanel; j >= 0; j -= kPanel) {
    const int64_t next = j + kPanel, end = profile.end[j / kPanel];
    const Columns columns = From(profile, j, next);
    const int64_t n = end - next + 1;
    double rest[kPanel] = {
        x[j] - Product(columns.c0, x + next, n), x[j + 1] - Product(columns.c1, x + next, n),
        x[j + 2] - Product(columns.c2, x + next, n), x[j + 3] - Product(columns.c3, x + next, n)};
    for (int q = kPanel - 1; q >= 0; --q) {
      for (int row = q + 1; row < kPanel; ++row) rest[q] -= at(j, q, row) * rest[row];
      rest[q] *= profile.inverse[j + q];
    }
    for (int q = 0; q < kPanel; ++q) x[j + q] = rest[q];
  }
}

}  // namespace

const ProfileKernels& Profiles() {
  static constexpr ProfileKernels kKernels = {Factor, Solve};
  return kKernels;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
