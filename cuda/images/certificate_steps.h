// SPDX-License-Identifier: MIT
// The steps of a certificate (certificate.h) on lines, by threads that have a part of a line each
// (line_parts.h): duals and residual, vote, terms of the gap. All threads of a block take part.
#pragma once

#include <limits>

#include "cuda/images/gap.h"
#include "cuda/images/line_parts.h"

namespace jaxtv::cuda {
namespace {  // as in scan.h

// The dual of each edge along an axis: the running sum of -v, clamped to [-w, w], and exactly +-w
// at a jump of the line's result. A sum of clamped steps is a scan of maps (scan.h). Adds the term
// of these duals to the residual x - D^T p, which starts as x if x is given.
template <typename T>
__device__ void ReadDualsOfPart(const LinePart& part, const Lines& lines, const Line<const T>& w,
                                const T* result, const T* dual, const T* x, T* p, double* residual,
                                unsigned char* joined) {
  const Line<const T> y = lines.At(result, part.line), v = lines.At(dual, part.line);
  const int64_t edges = lines.length - 1;
  const auto edge = [&](int64_t k) {
    const double weight = double(w[k]);
    const double lo = y[k + 1] > y[k] ? weight : -weight;
    const double hi = y[k + 1] < y[k] ? -weight : weight;
    return ClampedSum{-double(v[k]), lo, hi};
  };
  const ClampedSum identity = ClampedSum::Identity();
  ClampedSum mine = identity;
  for (int64_t k = part.begin; k < part.end && k < edges; ++k) mine = mine.Then(edge(k));
  double sum = BeforePart<Direction::kForward>(part, mine, identity)(0.0);

  const Line<T> out = lines.At(p, part.line);
  const Line<unsigned char> equal = lines.At(joined, part.line);
  for (int64_t k = part.begin; k < part.end; ++k) {
    if (k < edges) sum = edge(k)(sum);
    out[k] = k < edges ? T(sum) : T(0);
    equal[k] = k < edges && y[k] == y[k + 1] && w[k] > T(0);
  }
  __syncthreads();  // before a thread reads the last dual of the part before
  const Line<double> r = lines.At(residual, part.line);
  for (int64_t k = part.begin; k < part.end; ++k) {
    const double before = x != nullptr ? double(lines.At(x, part.line)[k]) : r[k];
    r[k] = before + (double(out[k]) - (k > 0 ? double(out[k - 1]) : 0.0));
  }
}

// Votes counted since the last end of a piece, if there was one.
struct Balance {
  int votes, ended;

  __device__ Balance Then(const Balance& next) const {
    return next.ended ? next : Balance{votes + next.votes, ended};
  }

  template <typename F>
  __device__ Balance Each(const F& f) const {
    return {f(votes), f(ended)};
  }
};

// The vote of majority_vote.h. The balance of a piece is known at its last edge; a scan from the
// end of the line to its beginning hands it to all edges of the piece.
__device__ inline void VoteOnPart(const LinePart& part, const Lines& lines, int64_t step,
                                  const unsigned char* edges, const unsigned char* along,
                                  unsigned char* kept) {
  const int64_t samples = lines.count() * lines.length;
  const Line<const unsigned char> line = lines.At(edges, part.line);
  const auto ends_piece = [&](int64_t k) {
    const int64_t at = &line[k] - edges;
    return !along[at] || at + step >= samples || !along[at + step];
  };
  Balance mine{0, 0};
  for (int64_t k = part.begin; k < part.end; ++k) {
    mine.votes += line[k] ? 1 : -1;
    if (ends_piece(k)) mine = {0, 1};
  }
  const Balance nothing{0, 0};
  int balance = BeforePart<Direction::kForward>(part, mine, nothing).votes;

  const Line<unsigned char> out = lines.At(kept, part.line);
  Latest<int> verdict{0, 0};
  for (int64_t k = part.begin; k < part.end; ++k) {
    balance += line[k] ? 1 : -1;
    out[k] = balance > 0;
    if (!ends_piece(k)) continue;
    if (!verdict.set) verdict = {balance > 0, 1};
    balance = 0;
  }
  const Latest<int> none{0, 0};
  int hold = BeforePart<Direction::kBackward>(part, verdict, none).value;
  for (int64_t k = part.end - 1; k >= part.begin; --k) {
    if (ends_piece(k)) hold = out[k];
    out[k] = line[k] && hold;
  }
}

struct Sum {
  double value;

  __device__ Sum Then(const Sum& next) const { return {value + next.value}; }

  template <typename F>
  __device__ Sum Each(const F& f) const {
    return {f(value)};
  }
};

// The terms of the gap at z over each line along an axis, of which none is negative: |z - r|^2 if
// the residual is given, and the sum of w |Dz| - p Dz.
template <typename T>
__device__ void GapOfPart(const LinePart& part, const Lines& lines, const Line<const T>& w,
                          const T* z, const T* p, const double* residual, double* squares,
                          double* excesses) {
  const Line<const T> point = lines.At(z, part.line), dual = lines.At(p, part.line);
  Sum square{0.0}, excess{0.0};
  part.ForSpread([&](int64_t k) {
    if (residual != nullptr) {
      const double off = double(point[k]) - lines.At(residual, part.line)[k];
      square.value += off * off;
    }
    if (k + 1 == lines.length) return;
    const double jump = double(point[k + 1]) - double(point[k]);
    if (jump == 0.0) return;  // an infinite weight on no jump costs nothing
    const double along = jump > 0.0 ? double(dual[k]) : -double(dual[k]);
    excess.value += fabs(jump) * (double(w[k]) - along);  // exactly 0 where p is w
  });
  const Sum zero{0.0};
  square = BeforePart<Direction::kForward>(part, square, zero).Then(square);
  excess = BeforePart<Direction::kForward>(part, excess, zero).Then(excess);
  if (part.length == 0 || part.index + 1 != part.count) return;
  squares[part.line] = square.value;
  excesses[part.line] = excess.value;
}

__device__ inline float RoundUp(double value, float) { return __double2float_ru(value); }
__device__ inline double RoundUp(double value, double) { return value; }

// The gap and the bound of an image, from the sums of its terms and a bound of their rounding.
template <typename T>
__device__ void WriteGap(const GapTerms& total, double rounding, T* gap, T* bound) {
  // |z - x*| <= (c + sqrt(4 gap - c^2)) / 2 with c = |z - r|.
  const double distance = sqrt(total.square) + sqrt(total.square + 4.0 * total.excess);
  *gap = RoundUp((1.0 + rounding) * (total.square / 2.0 + total.excess), T());
  *bound = RoundUp((1.0 + rounding) * (distance / 2.0), T());
}

}  // namespace
}  // namespace jaxtv::cuda
