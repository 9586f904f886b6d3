// SPDX-License-Identifier: MIT
// Runs the lock-step kernels of one instruction set, JAXTV_ISA, on adverse lines, short and long,
// and compares with scalar code bit by bit; built with sanitizers by tests/test_sanitizers.py.
// Every array is its own exact allocation, so that any step beyond it shows.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include "core/tv1d.h"
#include "cpu/lines/long/prox.h"
#include "cpu/lockstep/kernels.h"
#include "cpu/threads/memory.h"

namespace {

class Pool {
 public:
  ~Pool() {
    for (std::thread& t : running_) t.join();
  }
  int64_t num_threads() const { return 3; }
  void Schedule(std::function<void()>&& task) { running_.emplace_back(std::move(task)); }

 private:
  std::vector<std::thread> running_;
};

// Noise, a walk, a ramp (over budget), plateaus, huge values, a constant; line 7 is NaN.
template <typename T>
std::vector<T> Signal(int64_t line, int64_t n, std::mt19937& random) {
  std::normal_distribution<double> normal;
  std::vector<T> x(n);
  double walk = 0;
  for (int64_t k = 0; k < n; ++k) {
    walk += normal(random);
    const double values[] = {
        normal(random),        walk, double(k) / double(n), double(k / 9 % 3), std::sin(k / 50.0),
        1e30 * normal(random), 1.0,  normal(random)};
    x[k] = T(values[line % 8]);
  }
  if (line % 8 == 7) x[n / 2] = std::numeric_limits<T>::quiet_NaN();
  return x;
}

template <typename T>
bool SameBits(const std::vector<T>& a, const std::vector<T>& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Where walks over budget stood.
std::vector<int64_t> given_up, given_up_alone;

template <typename T>
bool Finish(const T* x, const T* lam, bool per_edge, int64_t start, int64_t n, jaxtv::Jump<T> left,
            uint8_t* marks, int64_t stride) {
  given_up.push_back(start);
  return jaxtv::MarkTautJumps(x, lam, per_edge, start, n, left, marks, stride);
}

struct Rest {
  template <typename Samples, typename Weights, typename T>
  void operator()(const Samples& x, const Weights& w, int64_t start, int64_t n, jaxtv::Line<T> y,
                  jaxtv::RunWriter<T, Samples>& writer) const {
    given_up_alone.push_back(start);
    jaxtv::TautRest{}(x, w, start, n, y, writer);
  }
};

template <typename P, typename T>
std::vector<P> PointersTo(std::vector<std::vector<T>>& lines) {
  std::vector<P> pointers;
  for (std::vector<T>& line : lines) pointers.push_back(line.data());
  return pointers;
}

template <typename T>
int CheckBatch(const jaxtv::LaneKernels<T>& lanes, int64_t count, int64_t n, bool per_edge, T lam) {
  std::mt19937 random(1);
  std::vector<std::vector<T>> xs, ws, ys;
  for (int64_t l = 0; l < count; ++l) {
    xs.push_back(Signal<T>(l, n, random));
    ws.push_back(per_edge ? Signal<T>(0, n - 1, random) : std::vector<T>{T(0)});
    for (T& w : ws.back()) w = lam * (per_edge ? std::abs(w) : T(l % 5));
    ys.emplace_back(n);
  }
  const auto x = PointersTo<const T*>(xs), w = PointersTo<const T*>(ws);
  const auto y = PointersTo<T*>(ys);
  given_up.clear();
  const std::unique_ptr<bool[]> solved(new bool[size_t(count)]);
  const jaxtv::Memory scratch = jaxtv::AllocateVectors(lanes.scratch(count, n, per_edge));
  lanes.prox({count, n, 1, per_edge, x.data(), w.data(), y.data(), Finish<T>}, scratch.get(),
             solved.get());
  int wrong = 0;
  given_up_alone.clear();
  for (int64_t l = 0; l < count; ++l) {
    if (!solved[l]) continue;
    std::vector<T> want(n);
    jaxtv::ProxLine<T>({x[l], 1}, {w[l], per_edge}, n, {want.data(), 1}, Rest{});
    wrong += !SameBits(ys[l], want) + (l % 8 == 7);
  }
  std::sort(given_up.begin(), given_up.end());
  std::sort(given_up_alone.begin(), given_up_alone.end());
  wrong += given_up != given_up_alone;
  // A ramp of many samples, line 2, is quadratic for walks.
  wrong += !per_edge && count > 2 && n == 400 && lam > 1 && given_up.empty();
  return wrong;
}

// Within a few roundings of the samples.
template <typename T>
bool Close(const std::vector<T>& a, const std::vector<T>& b, const std::vector<T>& x) {
  T most = 0, off = 0;
  for (size_t k = 0; k < x.size(); ++k) {
    most = std::max(most, std::abs(x[k]));
    off = std::max(off, std::abs(a[k] - b[k]));
  }
  return off <= 16 * std::numeric_limits<T>::epsilon() * most;
}

// From guesses, the first of which are good, and some so bad that another method takes over.
template <typename T>
int CheckNear(const jaxtv::LaneKernels<T>& lanes, int64_t count, int64_t n, bool per_edge) {
  std::mt19937 random(3);
  std::vector<std::vector<T>> xs, ws, want, ys;
  for (int64_t l = 0; l < count; ++l) {
    xs.push_back(Signal<T>(l, n, random));
    ws.push_back(per_edge ? Signal<T>(0, n - 1, random) : std::vector<T>{T(l % 5)});
    for (T& v : ws.back()) v = std::abs(v);
    want.emplace_back(n);
    jaxtv::ProxLine<T>({xs[l].data(), 1}, {ws[l].data(), per_edge}, n, {want[l].data(), 1});
    ys.push_back(want[l]);
    for (int64_t k = 0; l >= 10 && k < n; ++k) ys[l][k] = l % 2 ? T(k % 2) : xs[l][k / 2];
  }
  const auto x = PointersTo<const T*>(xs), w = PointersTo<const T*>(ws);
  const auto y = PointersTo<T*>(ys);
  given_up.clear();
  const std::unique_ptr<bool[]> solved(new bool[size_t(count)]);
  const jaxtv::Memory scratch = jaxtv::AllocateVectors(lanes.near_scratch(n, per_edge));
  lanes.prox_near({count, n, 1, per_edge, x.data(), w.data(), y.data(), Finish<T>}, scratch.get(),
                  solved.get());
  int wrong = count == 37 && n == 400 && given_up.empty();
  for (int64_t l = 0; l < count; ++l) wrong += solved[l] && !Close(ys[l], want[l], xs[l]);
  return wrong;
}

template <typename T>
int CheckLong(const jaxtv::LaneKernels<T>& lanes, int64_t kind, int64_t n, bool per_edge, T lam) {
  std::mt19937 random(2);
  const std::vector<T> x = Signal<T>(kind, n, random);
  std::vector<T> w = per_edge ? Signal<T>(0, n - 1, random) : std::vector<T>{T(1)};
  for (T& v : w) v = lam * std::abs(v);
  std::vector<T> y(n), alone(n);
  Pool pool;
  jaxtv::ThisThread thread;
  const jaxtv::LaneKernels<T>* none = nullptr;
  jaxtv::ProxLongLine<Pool, T>(pool, &lanes, x.data(), {w.data(), per_edge}, n, y.data());
  jaxtv::ProxLongLine<jaxtv::ThisThread, T>(thread, none, x.data(), {w.data(), per_edge}, n,
                                            alone.data());
  return !SameBits(y, alone);
}

// Walks along a line with lanes along each run, to its end or less far, and without; some edge
// weights are infinite.
template <typename T>
int CheckLongRuns(const jaxtv::LaneKernels<T>& lanes, int64_t n, bool per_edge, T lam) {
  std::mt19937 random(5);
  const std::vector<T> x = Signal<T>(0, n, random);
  std::vector<T> w = per_edge ? Signal<T>(0, n - 1, random) : std::vector<T>{T(1)};
  for (T& v : w) v = lam * std::abs(v);
  for (size_t k = 0; k < w.size() / 3; ++k) w[k] = std::numeric_limits<T>::infinity();
  const jaxtv::EdgeWeights<T> weights({w.data(), per_edge}, per_edge, n, T(8));
  const jaxtv::ChunkedLine<T> line = {x.data(),
                                      per_edge ? w.data() : nullptr,
                                      per_edge ? weights.cap : weights(0),
                                      weights.range,
                                      n,
                                      nullptr,
                                      nullptr};
  int wrong = 0;
  for (int64_t end : {n, n - 1, n / 2}) {
    jaxtv::Jump<T> left = {0, T(0)};
    for (int64_t start = 0, steps = 0; start < end;) {
      const jaxtv::RunEnd run = lanes.walk_run(line, end, start, left, &steps);
      const jaxtv::RunEnd want =
          jaxtv::WalkRun(jaxtv::Line<const T>{x.data(), 1}, weights, end, start, left, &steps);
      wrong += run.last != want.last || run.jump != want.jump;
      left = {want.jump, weights(want.last)};
      start = want.last + 1;
    }
  }
  return wrong;
}

template <typename T>
int Check(const jaxtv::LaneKernels<T>& lanes) {
  int wrong = 0;
  for (bool per_edge : {false, true}) {
    for (int64_t n : {2, 3, 16, 65, 400}) {
      for (int64_t count : {1, 5, 37}) {
        for (double lam : {0.3, 20.0}) wrong += CheckBatch<T>(lanes, count, n, per_edge, T(lam));
        wrong += CheckNear<T>(lanes, count, n, per_edge);
      }
    }
    for (int64_t n : {2, 17, 100, 3000}) {
      for (double lam : {0.5, 5.0, 200.0}) wrong += CheckLongRuns<T>(lanes, n, per_edge, T(lam));
    }
    for (int64_t kind : {0, 1, 2, 4}) {
      for (double lam : {1.0, 30.0}) wrong += CheckLong<T>(lanes, kind, 40000, per_edge, T(lam));
    }
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
