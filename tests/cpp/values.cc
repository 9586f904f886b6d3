// SPDX-License-Identifier: MIT
// Do all ways to write the values of runs agree, and to give up a walk? Built with sanitizers by
// tests/test_sanitizers.py, for one instruction set, JAXTV_ISA.
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "cpu/lines/long/prox.h"
#include "cpu/threads/memory.h"
#include "tests/cpp/pool.h"

namespace {

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Two runs that tie but for rounding, of 3 and 7 samples, with a jump down or up of weight `w`.
template <typename T>
struct Tie {
  std::vector<T> x = std::vector<T>(10);
  std::vector<T> lam = std::vector<T>(9);
  int sign;

  explicit Tie(std::mt19937& random) {
    std::normal_distribution<double> normal;
    for (T& v : x) v = T(normal(random));
    double left = 0, right = 0;
    for (int k = 0; k < 3; ++k) left += double(x[k]) / 3;
    for (int k = 3; k < 10; ++k) right += double(x[k]) / 7;
    sign = left > right ? -1 : 1;
    lam[2] = T(std::abs(left - right) / (1.0 / 3 + 1.0 / 7));
  }

  jaxtv::Jump<T> jump() const { return {sign, lam[2]}; }

  std::vector<T> Values() const {
    std::vector<T> y(10);
    jaxtv::RunWriter<T> writer({x.data(), 1}, {y.data(), 1});
    writer.Write(0, 2, jump());
    writer.Write(3, 9, {0, T(0)});
    return y;
  }

  // Whether rounding alone would turn the jump around.
  bool Inverted() const {
    const jaxtv::Line<const T> line{x.data(), 1};
    const jaxtv::Jump<T> end{0, T(0)};
    const T left = jaxtv::RunValue(line, 0, 2, end, jump());
    const T right = jaxtv::RunValue(line, 3, 9, jump(), end);
    return sign < 0 ? right > left : right < left;
  }
};

// A jump that rounding inverts is no jump, in scalar code and in lanes. A run before the tie, of
// which a chunk does not know the value, does not count: it is above but jumps up.
template <typename T>
int CheckTies(const jaxtv::LaneKernels<T>& lanes) {
  constexpr int64_t before = 2, length = before + 10;
  std::mt19937 random(1);
  int wrong = 0, inverted[2] = {0, 0};
  const jaxtv::Memory scratch =
      jaxtv::AllocateVectors(3 * length * lanes.lanes * int64_t(sizeof(T)));
  for (int i = 0; i < 100; ++i) {
    std::vector<T> x, lam, want, y(length * lanes.lanes);
    std::vector<uint8_t> marks(y.size());
    for (int64_t l = 0; l < lanes.lanes; ++l) {
      const Tie<T> tie(random);
      const std::vector<T> values = tie.Values();
      inverted[tie.sign > 0] += tie.Inverted();
      wrong += tie.Inverted() && values[2] != values[3];
      marks[length * l + before - 1] = jaxtv::kUpMark;
      marks[length * l + before + 2] = tie.sign < 0 ? jaxtv::kDownMark : jaxtv::kUpMark;
      x.insert(x.end(), before, T(1000));
      x.insert(x.end(), tie.x.begin(), tie.x.end());
      lam.insert(lam.end(), before, T(0));
      lam.insert(lam.end(), tie.lam.begin(), tie.lam.end());
      lam.push_back(T(0));
      want.insert(want.end(), before, T(1000));
      want.insert(want.end(), values.begin(), values.end());
    }
    lanes.chunk_values({x.data(), lam.data(), T(100), T(10), 0, marks.data(), y.data()}, 0, length,
                       scratch.get());
    wrong += !SameBits(y, want);
  }
  return wrong + (inverted[0] == 0) + (inverted[1] == 0);
}

// Runs and jumps at random, of which rounding or not, half are inverted: so a value depends on
// those before it, across the ends of chunks and blocks.
template <typename T>
int CheckSharedValues(const jaxtv::LaneKernels<T>& lanes, int64_t run, bool per_edge) {
  constexpr int64_t n = 3 * jaxtv::kValueBlock + 1000;
  std::mt19937 random(2);
  std::normal_distribution<double> normal;
  std::vector<T> x(n), lam(per_edge ? n - 1 : 1, T(0.5)), want(n), y(n);
  for (T& v : x) v = T(normal(random));
  for (T& v : lam) v = T(std::abs(normal(random)));
  std::vector<uint8_t> marks(n);
  for (int64_t k = 0; k < n - 1; ++k) {
    if (int64_t(random() % run) == 0) marks[k] = random() % 4 ? jaxtv::kDownMark : jaxtv::kUpMark;
  }
  const jaxtv::Line<const T> weights{lam.data(), per_edge};
  const jaxtv::MarkedLine<T> line{
      {x.data(), 1}, jaxtv::EdgeWeights<T>(weights, per_edge, n, T(10)), n, marks.data()};
  jaxtv::WriteRuns(line, 0, n, false, jaxtv::Line<T>{want.data(), 1});
  Pool pool(3);
  jaxtv::WriteRunsInBlocks(pool, line, jaxtv::Line<T>{y.data(), 1});
  int wrong = !SameBits(y, want);
  std::fill(y.begin(), y.end(), T(0));
  const T cap = per_edge ? line.w.cap : line.w(0);
  jaxtv::WriteRunsInLanes(
      pool, lanes, line,
      {x.data(), per_edge ? lam.data() : nullptr, cap, T(10), n, marks.data(), y.data()});
  return wrong + !SameBits(y, want);
}

// The sum of a long run is that of its parts, none of which is left out or taken twice.
template <typename T>
int CheckSumOfRun() {
  std::mt19937 random(4);
  std::vector<T> x(80 * jaxtv::kSumPart);
  for (T& v : x) v = T(random() % 1024);  // sums of whole numbers are exact in any order
  const jaxtv::Line<const T> line{x.data(), 1};
  int wrong = 0;
  for (int64_t length : {int64_t(1), jaxtv::kSumPart, jaxtv::kSumPart + 1, 70 * jaxtv::kSumPart}) {
    wrong += jaxtv::SumOfRun(line, 3, length + 2) != jaxtv::RunSum(line, 3, length + 2);
  }
  return wrong;
}

// On a ramp walks look far ahead at each sample: pieces of it are given up, in lanes as in scalar
// code; and so is the walk from piece to piece, where no taut string takes over.
template <typename T>
int CheckGivenUp(const jaxtv::LaneKernels<T>& lanes) {
  constexpr int64_t n = 40000, ramp = 24000, count = 16, length = 900;
  std::mt19937 random(3);
  std::normal_distribution<double> normal;
  std::vector<T> x(n), lam(1, T(1)), y(n);
  for (int64_t k = 0; k < n; ++k) x[k] = T(k < ramp ? normal(random) : 1e-4 * double(k - ramp));
  std::vector<uint8_t> marks(n), again(n);
  const jaxtv::MarkedLine<T> line{
      {x.data(), 1}, jaxtv::EdgeWeights<T>({lam.data(), 0}, false, n, T(10)), n, marks.data()};
  const jaxtv::ChunkedLine<T> chunked{x.data(), nullptr, T(1), T(10), n, marks.data(), y.data()};
  jaxtv::PieceStart<T> pieces[count];
  for (int64_t i = 0; i < count; ++i) pieces[i] = {ramp + i * length, {0, T(0)}};
  const jaxtv::LaneKernels<T>* const kernels[] = {nullptr, &lanes};
  int wrong = 0;
  for (const auto* kernel : kernels) {
    jaxtv::LineWalker<T> walker{line, chunked, kernel, nullptr, false};
    wrong += walker.WalkPieces(pieces, count, length, again.data()).stopped != count;
    std::fill(marks.begin(), marks.end(), uint8_t(0));
    Pool pool(3);
    const int64_t known = jaxtv::MarkJumps(pool, walker, jaxtv::TypicalRun(line)).place;
    wrong += known < ramp / 2 || known >= n;
    walker.taut = true;
    std::fill(marks.begin(), marks.end(), uint8_t(0));
    wrong += jaxtv::MarkJumps(pool, walker, jaxtv::TypicalRun(line)).place != n;
    wrong += int64_t(marks[n - 5000]) != jaxtv::kUpMark;
  }
  return wrong;
}

template <typename T>
std::vector<uint8_t> TautMarks(const jaxtv::MarkedLine<T>& line) {
  std::vector<uint8_t> marks(line.length);
  const auto mark = [&](int64_t k, int sign) {
    marks[k] = sign < 0 ? jaxtv::kDownMark : jaxtv::kUpMark;
    return true;
  };
  const jaxtv::Jump<T> none{0, T(0)};
  const bool ok = jaxtv::FollowTautString(line.x, line.w, 0, line.length, none, mark);
  return ok ? marks : std::vector<uint8_t>();
}

// The jumps of a taut string are those of a walk in double: of noise, whose chains move on in their
// memory, and of a ramp, at which one outgrows it.
template <typename T>
int CheckTautString(double slope, double lam) {
  constexpr int64_t n = 9000;
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  std::vector<T> x(n);
  for (int64_t k = 0; k < n; ++k) x[k] = T(normal(random) + slope * double(k));
  const std::vector<double> wide(x.begin(), x.end());
  const jaxtv::EdgeWeights<double> w({&lam, 0}, false, n, 1e5);
  std::vector<uint8_t> walked(n), marks(n);
  int64_t steps = 0;
  jaxtv::Jump<double> left{0, 0};
  for (int64_t start = 0; start < n;) {
    const auto run =
        jaxtv::WalkRun(jaxtv::Line<const double>{wide.data(), 1}, w, n, start, left, &steps);
    if (run.jump == 0) break;
    walked[run.last] = run.jump < 0 ? jaxtv::kDownMark : jaxtv::kUpMark;
    left = {run.jump, lam};
    start = run.last + 1;
  }
  const T weight = T(lam);
  const jaxtv::EdgeWeights<T> weights({&weight, 0}, false, n, T(1e5));
  return TautMarks<T>({{x.data(), 1}, weights, n, marks.data()}) != walked;
}

// The jumps are those of a taut string alone: where one takes over on a ramp and hands back to
// chunks of the noise behind it, and where runs are too long for chunks to link.
template <typename T>
int CheckStitched(const jaxtv::LaneKernels<T>& lanes, int64_t ramp, T lam) {
  constexpr int64_t n = 40000;
  std::mt19937 random(6);
  std::normal_distribution<double> normal;
  std::vector<T> x(n), y(n);
  for (int64_t k = 0; k < n; ++k) {
    x[k] = T(k < ramp ? 1e-6 * normal(random) + 0.01 * double(k) : normal(random));
  }
  std::vector<uint8_t> marks(n);
  const jaxtv::MarkedLine<T> line{
      {x.data(), 1}, jaxtv::EdgeWeights<T>({&lam, 0}, false, n, T(500)), n, marks.data()};
  const jaxtv::ChunkedLine<T> chunked{x.data(), nullptr, lam, T(500), n, marks.data(), y.data()};
  const std::vector<uint8_t> want = TautMarks(line);
  int wrong = 0;
  const jaxtv::LaneKernels<T>* const kernels[] = {nullptr, &lanes};
  for (const auto* kernel : kernels) {
    std::fill(marks.begin(), marks.end(), uint8_t(0));
    Pool pool(3);
    const jaxtv::LineWalker<T> walker{line, chunked, kernel, nullptr, true};
    wrong += jaxtv::MarkJumps(pool, walker, jaxtv::RunSize{4, 8}).place != n || marks != want;
  }
  return wrong;
}

template <typename T>
int Check(const jaxtv::LaneKernels<T>& lanes) {
  int wrong = CheckTies(lanes) + CheckSumOfRun<T>() + CheckGivenUp(lanes);
  wrong += CheckStitched<T>(lanes, 16000, T(1)) + CheckStitched<T>(lanes, 0, T(20));
  wrong += CheckTautString<T>(0, 1) + CheckTautString<T>(0, 50) + CheckTautString<T>(1, 1e6);
  for (bool per_edge : {false, true}) {
    for (int64_t run : {2, 30}) wrong += CheckSharedValues(lanes, run, per_edge);
  }
  return wrong;
}

}  // namespace

int main() {
  const jaxtv::LaneSet& set = jaxtv::JAXTV_ISA::Kernels();
  const int wrong = Check(set.f32) + Check(set.f64);
  std::printf("%d wrong\n", wrong);
  return wrong != 0;
}
