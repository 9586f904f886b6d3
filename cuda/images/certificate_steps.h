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
// at a jump of the line's result y. A sum of clamped steps is a scan of maps (scan.h). `p` may be
// v.
template <typename T, typename Levels, typename Duals, typename Clamped>
__device__ void ClampDuals(const LinePart& part, int64_t edges, const Line<const T>& w,
                           const Levels& y, const Duals& v, const Clamped& p) {
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
  for (int64_t k = part.begin; k < part.end; ++k) {
    if (k < edges) sum = edge(k)(sum);
    p[k] = k < edges ? T(sum) : T(0);
  }
}

// From such duals, which edges join, and the residual x - D^T p less the term of this axis; it
// starts as x on the first one.
template <typename T, typename Levels, typename Clamped, typename Samples, typename Residual,
          typename Joined>
__device__ void SubtractDuals(const LinePart& part, const Line<const T>& w, const Levels& y,
                              const Clamped& p, bool is_first, const Samples& x,
                              const Residual& residual, const Joined& joined) {
  part.ForSpread([&](int64_t k) {
    joined[k] = k + 1 < part.length && y[k] == y[k + 1] && w[k] > T(0);
    const double before = is_first ? double(x[k]) : residual[k];
    residual[k] = before + (double(p[k]) - (k > 0 ? double(p[k - 1]) : 0.0));
  });
}

// Both, where the line lies in memory.
template <typename T>
__device__ void ReadDualsOfPart(const LinePart& part, const Lines& lines, const Line<const T>& w,
                                const T* result, const T* dual, const T* x, T* p, double* residual,
                                unsigned char* joined) {
  const Line<const T> y = lines.At(result, part.line), v = lines.At(dual, part.line);
  const Line<T> out = lines.At(p, part.line);
  ClampDuals(part, lines.length - 1, w, y, v, out);
  __syncthreads();  // before a thread reads duals of other parts
  SubtractDuals(part, w, y, out, x != nullptr, lines.At(x, part.line),
                lines.At(residual, part.line), lines.At(joined, part.line));
}

// The same of rows, staged in two numbers for each sample.
template <typename T>
__device__ void ReadDualsOfStaged(const LinePart& part, const Lines& lines, const Line<const T>& w,
                                  const T* result, const T* dual, const T* x, T* p,
                                  double* residual, unsigned char* joined, T* cells) {
  const int64_t first = lines.First(part.line);
  const StagedLine<T> y = StagedLineOf(part, lines.length, cells, 0, 2);
  const StagedLine<T> v = StagedLineOf(part, lines.length, cells, 1, 2);
  part.ForSpread([&](int64_t k) {
    y[k] = result[first + k];
    v[k] = dual[first + k];
  });
  __syncwarp();  // no line belongs to two warps
  ClampDuals(part, lines.length - 1, w, y, v, v);
  __syncwarp();
  SubtractDuals(part, w, y, v, x != nullptr, x + first, residual + first, joined + first);
  part.ForSpread([&](int64_t k) { p[first + k] = v[k]; });
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

// The edges of a line that vote, the ends of its pieces, and the verdicts, in memory.
struct VotedLine {
  int64_t step, samples;
  const unsigned char *edges, *along;
  Line<const unsigned char> line;
  Line<unsigned char> kept;

  __device__ VotedLine(const LinePart& part, const Lines& lines, int64_t edge_step,
                       const unsigned char* voting, const unsigned char* pieces,
                       unsigned char* verdicts)
      : step(edge_step),
        samples(lines.count() * lines.length),
        edges(voting),
        along(pieces),
        line(lines.At(voting, part.line)),
        kept(lines.At(verdicts, part.line)) {}

  __device__ bool Joins(int64_t k) const { return line[k] != 0; }
  __device__ bool EndsPiece(int64_t k) const {
    const int64_t at = &line[k] - edges;
    return !along[at] || at + step >= samples || !along[at + step];
  }
  __device__ bool Kept(int64_t k) const { return kept[k] != 0; }
  __device__ void Keep(int64_t k, bool value) const { kept[k] = value; }
};

// The same, staged: a bit for each.
struct StagedVotes {
  StagedLine<unsigned char> bits;

  __device__ bool Joins(int64_t k) const { return bits[k] & 1; }
  __device__ bool EndsPiece(int64_t k) const { return bits[k] & 2; }
  __device__ bool Kept(int64_t k) const { return bits[k] & 4; }
  __device__ void Keep(int64_t k, bool value) const {
    bits[k] = (unsigned char)((bits[k] & 3) | (value << 2));
  }
};

// The vote of majority_vote.h. The balance of a piece is known at its last edge; a scan from the
// end of the line to its beginning hands it to all edges of the piece.
template <typename Votes>
__device__ void VoteOnPart(const LinePart& part, const Votes& line) {
  Balance mine{0, 0};
  for (int64_t k = part.begin; k < part.end; ++k) {
    mine.votes += line.Joins(k) ? 1 : -1;
    if (line.EndsPiece(k)) mine = {0, 1};
  }
  const Balance nothing{0, 0};
  int balance = BeforePart<Direction::kForward>(part, mine, nothing).votes;

  Latest<int> verdict{0, 0};
  for (int64_t k = part.begin; k < part.end; ++k) {
    balance += line.Joins(k) ? 1 : -1;
    line.Keep(k, balance > 0);
    if (!line.EndsPiece(k)) continue;
    if (!verdict.set) verdict = {balance > 0, 1};
    balance = 0;
  }
  const Latest<int> none{0, 0};
  bool hold = BeforePart<Direction::kBackward>(part, verdict, none).value != 0;
  for (int64_t k = part.end - 1; k >= part.begin; --k) {
    if (line.EndsPiece(k)) hold = line.Kept(k);
    line.Keep(k, line.Joins(k) && hold);
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
