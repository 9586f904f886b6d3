// SPDX-License-Identifier: MIT
// Plain loops, which compilers turn into vectors of the instruction set that JAXTV_ISA names. They
// call no inline function outside of its namespace, for the reason that cpu/simd/vectors.h gives.
#include "cpu/images/pixel_kernels.h"

#include <cstring>

#include "cpu/simd/row_sums.h"

namespace jaxtv {
namespace JAXTV_ISA {
namespace {

template <typename T>
bool Extent(int64_t n, const T* x, T* low, T* high, double* sum) {
  RowSum s{};
  T lo[kRowSumLanes], hi[kRowSumLanes], bad[kRowSumLanes];  // x - x is 0, or NaN
  for (int lane = 0; lane < kRowSumLanes; ++lane) {
    lo[lane] = hi[lane] = x[0];
    bad[lane] = T(0);
  }
  ForLanes(n, [&](int64_t i, int lane) {
    s.lane[lane] += double(x[i]);
    lo[lane] = x[i] < lo[lane] ? x[i] : lo[lane];
    hi[lane] = x[i] > hi[lane] ? x[i] : hi[lane];
    bad[lane] += x[i] - x[i];
  });
  bool finite = true;
  *low = lo[0];
  *high = hi[0];
  for (int lane = 0; lane < kRowSumLanes; ++lane) {
    *low = lo[lane] < *low ? lo[lane] : *low;
    *high = hi[lane] > *high ? hi[lane] : *high;
    finite = finite && bad[lane] == T(0);
  }
  *sum = Total(s);
  return finite;
}

template <typename T>
double Deviation(int64_t n, const T* x, double mean) {
  RowSum s{};
  ForLanes(n, [&](int64_t i, int lane) {
    const double d = double(x[i]) - mean;
    s.lane[lane] += d * d;
  });
  return Total(s);
}

template <typename T>
void Extrapolate(int64_t n, const T* base, T sign, const T* JAXTV_RESTRICT now,
                 const T* JAXTV_RESTRICT before, T beta, T* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = base[i] + sign * (now[i] + beta * (now[i] - before[i]));
}

template <typename T>
void Optimise(int64_t n, const Optimised<T>& step, const T* JAXTV_RESTRICT first,
              const T* JAXTV_RESTRICT now, const T* JAXTV_RESTRICT previous, T* JAXTV_RESTRICT w,
              T* JAXTV_RESTRICT out) {
  const T ahead = step.ahead, by_first = step.first, by_previous = step.previous;
  for (int64_t i = 0; i < n; ++i) {
    const T here = now[i] + first[i];
    out[i] = here + ahead * (here - w[i]) + (by_first * first[i] + by_previous * previous[i]);
    w[i] = here;
  }
}

template <typename T>
void Step(int64_t n, const T* JAXTV_RESTRICT in, const T* JAXTV_RESTRICT out,
          const T* JAXTV_RESTRICT previous, const T* JAXTV_RESTRICT now, T scale,
          T* JAXTV_RESTRICT before, T* JAXTV_RESTRICT result, StepSums* JAXTV_RESTRICT sums) {
  StepSums s = *sums;
  ForLanes(n, [&](int64_t i, int lane) {
    const T y = out[i], v = in[i] - y, step = scale * y - previous[i];
    s.against.lane[lane] += double(step) * double(v - now[i]);
    s.residual.lane[lane] += double(step) * double(step);
    s.energy.lane[lane] += double(y) * double(y);
    before[i] = v;
    result[i] = y;
  });
  *sums = s;
}

template <typename T>
void Rest(int64_t n, const T* JAXTV_RESTRICT x, const T* JAXTV_RESTRICT y, const T* const* duals,
          int64_t count, double* JAXTV_RESTRICT v) {
  for (int64_t i = 0; i < n; ++i) v[i] = double(x[i]) - double(y[i]);
  for (int64_t a = 0; a < count; ++a) {
    const T* JAXTV_RESTRICT dual = duals[a];
    for (int64_t i = 0; i < n; ++i) v[i] -= double(dual[i]);
  }
}

inline double EdgeDual(double sum, double jump, double w) {
  const double above = sum < -w ? -w : sum, inside = above > w ? w : above;
  const double low = jump < 0 ? -w : inside;
  return jump > 0 ? w : low;
}

// The results `sum` and `dual` of edge_row, with weights by `weight(i)`.
template <typename T, typename Weight>
inline void EdgeRowOf(int64_t n, const double* JAXTV_RESTRICT v, const Weight& weight,
                      const T* JAXTV_RESTRICT y, const T* JAXTV_RESTRICT next,
                      double* JAXTV_RESTRICT sum, T* JAXTV_RESTRICT dual) {
  for (int64_t i = 0; i < n; ++i) {
    const double p = EdgeDual(sum[i] - v[i], double(next[i]) - double(y[i]), double(weight(i)));
    sum[i] = p;
    dual[i] = T(p);
  }
}

template <typename T>
void EdgeRow(int64_t n, const double* v, RowWeights<T> weights, const T* JAXTV_RESTRICT y,
             const T* JAXTV_RESTRICT next, double* sum, T* dual, uint8_t* JAXTV_RESTRICT fused) {
  if (const T* JAXTV_RESTRICT w = weights.each) {
    EdgeRowOf(n, v, [&](int64_t i) { return w[i]; }, y, next, sum, dual);
    for (int64_t i = 0; i < n; ++i) fused[i] = (next[i] == y[i]) & (w[i] > T(0));
  } else {
    EdgeRowOf(n, v, [&](int64_t) { return weights.all; }, y, next, sum, dual);
    const uint8_t weighted = weights.all > T(0);
    for (int64_t i = 0; i < n; ++i) fused[i] = (next[i] == y[i]) & weighted;
  }
}

// Lines are taken kRows at once, kColumns samples at a time, turned so that a row of a buffer has
// one sample of each.
constexpr int kRows = 16, kColumns = 32;

template <typename T, typename Value>
inline void Turn(int64_t rows, int64_t columns, const Value& value, T (*to)[kRows]) {
  for (int64_t l = 0; l < rows; ++l) {
    for (int64_t i = 0; i < columns; ++i) to[i][l] = value(l, i);
  }
}

template <typename T>
void EdgeLines(int64_t count, int64_t n, const T* a, const T* b, RowWeights<T> weights, const T* y,
               T* dual, uint8_t* fused) {
  double v[kColumns][kRows] = {};
  T w[kColumns][kRows] = {}, value[kColumns + 1][kRows] = {}, p[kColumns][kRows];
  for (int64_t first = 0; first < count; first += kRows) {
    const int64_t rows = count - first < kRows ? count - first : kRows;
    double sum[kRows] = {};
    for (int64_t from = 0; from < n - 1; from += kColumns) {
      const int64_t columns = n - 1 - from < kColumns ? n - 1 - from : kColumns;
      const int64_t at = first * n + from;
      if (b) {
        Turn(
            rows, columns,
            [&](int64_t l, int64_t i) { return double(a[at + l * n + i]) - b[at + l * n + i]; }, v);
      } else {
        Turn(rows, columns, [&](int64_t l, int64_t i) { return double(a[at + l * n + i]); }, v);
      }
      Turn(rows, columns + 1, [&](int64_t l, int64_t i) { return y[at + l * n + i]; }, value);
      if (weights.each) {
        Turn(rows, columns, [&](int64_t l, int64_t i) { return weights.each[at + l * n + i]; }, w);
      }
      for (int64_t i = 0; i < columns; ++i) {
        if (weights.each) {
          EdgeRowOf(
              kRows, v[i], [&](int64_t l) { return w[i][l]; }, value[i], value[i + 1], sum, p[i]);
        } else {
          EdgeRowOf(
              kRows, v[i], [&](int64_t) { return weights.all; }, value[i], value[i + 1], sum, p[i]);
        }
      }
      for (int64_t l = 0; l < rows; ++l) {
        for (int64_t i = 0; i < columns; ++i) dual[at + l * n + i] = p[i][l];
      }
    }
    for (int64_t l = 0; l < rows; ++l) {
      const T* JAXTV_RESTRICT line = y + (first + l) * n;
      uint8_t* JAXTV_RESTRICT joined = fused + (first + l) * n;
      for (int64_t i = 0; i < n - 1; ++i) joined[i] = line[i + 1] == line[i];
      if (weights.each) {
        const T* JAXTV_RESTRICT edge = weights.each + (first + l) * n;
        for (int64_t i = 0; i < n - 1; ++i) joined[i] &= edge[i] > T(0);
      } else if (!(weights.all > T(0))) {
        std::memset(joined, 0, size_t(n));
      }
      joined[n - 1] = 0;
      dual[(first + l) * n + n - 1] = T(0);
    }
  }
}

template <typename T>
void Residual(int64_t n, const T* JAXTV_RESTRICT x, const T* const* after, const T* const* before,
              int64_t axes, double* JAXTV_RESTRICT r) {
  for (int64_t i = 0; i < n; ++i) r[i] = double(x[i]);
  for (int64_t a = 0; a < axes; ++a) {
    const T *JAXTV_RESTRICT p = after[a], *JAXTV_RESTRICT q = before[a];
    for (int64_t i = 0; i < n; ++i) r[i] += double(p[i]) - double(q[i]);
  }
}

template <typename T>
void AddSquare(int64_t n, const T* JAXTV_RESTRICT z, const double* JAXTV_RESTRICT r,
               RowSum* JAXTV_RESTRICT sum) {
  RowSum s = *sum;
  ForLanes(n, [&](int64_t i, int lane) {
    const double c = double(z[i]) - r[i];
    s.lane[lane] += c * c;
  });
  *sum = s;
}

template <typename T, typename Weight>
inline void AddJumpsOf(int64_t n, const T* JAXTV_RESTRICT z, const T* JAXTV_RESTRICT next,
                       const Weight& weight, const T* JAXTV_RESTRICT dual, RowSum* sum) {
  RowSum s = *sum;
  ForLanes(n, [&](int64_t i, int lane) {
    const double jump = double(next[i]) - double(z[i]), size = jump < 0 ? -jump : jump;
    const double along = jump < 0 ? -double(dual[i]) : double(dual[i]);
    s.lane[lane] += size * (double(weight(i)) - along);  // at least 0, and exactly 0 where p is w
  });
  *sum = s;
}

template <typename T>
void AddJumps(int64_t n, const T* z, const T* next, RowWeights<T> weights, const T* dual,
              RowSum* sum) {
  if (const T* JAXTV_RESTRICT w = weights.each) {
    AddJumpsOf(n, z, next, [&](int64_t i) { return w[i]; }, dual, sum);
  } else {
    AddJumpsOf(n, z, next, [&](int64_t) { return weights.all; }, dual, sum);
  }
}

void CountVotes(int64_t n, const uint8_t* JAXTV_RESTRICT edges,
                const uint8_t* JAXTV_RESTRICT joined, const uint8_t* JAXTV_RESTRICT joined_next,
                int32_t* JAXTV_RESTRICT balance, uint8_t* JAXTV_RESTRICT kept) {
  for (int64_t i = 0; i < n; ++i) {
    const int32_t sum = balance[i] + 2 * edges[i] - 1;
    kept[i] = sum > 0;
    balance[i] = joined[i] & joined_next[i] ? sum : 0;
  }
}

void ApplyVerdicts(int64_t n, const uint8_t* JAXTV_RESTRICT edges,
                   const uint8_t* JAXTV_RESTRICT joined, const uint8_t* JAXTV_RESTRICT joined_next,
                   uint8_t* JAXTV_RESTRICT verdict, uint8_t* JAXTV_RESTRICT kept) {
  for (int64_t i = 0; i < n; ++i) {
    const uint8_t inside = joined[i] & joined_next[i];
    const uint8_t decided = inside ? verdict[i] : kept[i];
    verdict[i] = decided;
    kept[i] = edges[i] & decided;
  }
}

template <typename T>
constexpr PixelKernels<T> kKernels = {
    Extent<T>,    Deviation<T>, Extrapolate<T>, Optimise<T>, Step<T>,    Rest<T>,      EdgeRow<T>,
    EdgeLines<T>, Residual<T>,  AddSquare<T>,   AddJumps<T>, CountVotes, ApplyVerdicts};

}  // namespace

const PixelSet& Pixels() {
  static constexpr PixelSet kSet = {kKernels<float>, kKernels<double>};
  return kSet;
}

}  // namespace JAXTV_ISA
}  // namespace jaxtv
