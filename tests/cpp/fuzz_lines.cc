// SPDX-License-Identifier: MIT
// Fuzzes the compiled line kernels of the instruction set that JAXTV_CPU_ISA asks for.
//
//   fuzz_lines run SEED FIRST COUNT BLOCK CHECK   random batches of lines from number FIRST on. For
//                                                 each BLOCK of them a digest of the answers, and
//                                                 if CHECK is 1 each answer is checked
//   fuzz_lines show SEED BATCH LINE               that line, if there is one: type, per edge (0 or
//                                                 1), samples, weights
//   fuzz_lines serve                              reads such lines, each after a word that says
//                                                 whether to try Newton's method (0 or 1); writes a
//                                                 digest and what is wrong
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <utility>

#include "tests/cpp/fuzz_answers.h"

namespace jaxtv {
#if !defined(__x86_64__)  // one instruction set
namespace avx2 {
const LaneSet& Kernels() { return portable::Kernels(); }
}  // namespace avx2
namespace avx512 {
const LaneSet& Kernels() { return portable::Kernels(); }
}  // namespace avx512
#endif
}  // namespace jaxtv

namespace {

using fuzz::Case;
using fuzz::Random;
using fuzz::Worst;

struct Tally {
  int64_t lines = 0, samples = 0, faults = 0;
  uint64_t digest = 0;
  Worst f32, f64;
};

// Calls visit(case, whether Newton's method is to run) with the batch's case, float or double.
template <typename Visit>
void WithBatch(uint64_t seed, int64_t batch, const Visit& visit) {
  Random random(seed, uint64_t(batch));
  const bool newton = random.Chance(0.25);
  if (random.Chance(0.6)) {
    visit(fuzz::RandomCase<float>(random), newton);
  } else {
    visit(fuzz::RandomCase<double>(random), newton);
  }
}

template <typename T>
void Take(const Case<T>& c, bool newton, int64_t batch, bool check, Tally* tally, Worst* worst) {
  const fuzz::Answers<T> answers = fuzz::AnswersTo(c, newton);
  tally->digest = fuzz::Digest(tally->digest, answers);
  tally->lines += c.lines.count();
  tally->samples += int64_t(c.x.size());
  for (int64_t l = 0; check && l < c.lines.count(); ++l) {
    Worst seen = *worst;
    const std::string fault = fuzz::Fault(c, answers, l, &seen);
    if (fault.empty()) {
      *worst = seen;
    } else if (++tally->faults <= 1000) {
      std::printf("fault %lld %lld %s\n", (long long)batch, (long long)l, fault.c_str());
    }
  }
}

void Print(const char* type, const Worst& w) {
  std::printf("worst %s prox %.2Lf level %.2Lf near %.2Lf pull_back %.2Lf newton %.2Lf\n", type,
              w.prox, w.level, w.near, w.pull_back, w.newton);
}

int Run(uint64_t seed, int64_t first, int64_t count, int64_t block, bool check) {
  Tally tally;
  for (int64_t batch = first; batch < first + count; ++batch) {
    WithBatch(seed, batch, [&](const auto& c, bool newton) {
      const bool narrow = sizeof(c.x[0]) == sizeof(float);
      Take(c, newton, batch, check, &tally, narrow ? &tally.f32 : &tally.f64);
    });
    if ((batch + 1 - first) % block != 0 && batch + 1 != first + count) continue;
    std::printf("digest %lld %016llx\n", (long long)batch, (unsigned long long)tally.digest);
    tally.digest = 0;
  }
  Print("float32", tally.f32);
  Print("float64", tally.f64);
  std::printf("done %lld lines %lld samples %lld faults\n", (long long)tally.lines,
              (long long)tally.samples, (long long)tally.faults);
  return tally.faults != 0;
}

template <typename T>
void Show(const Case<T>& c, int64_t l) {
  if (l >= c.lines.count()) return;
  std::printf("%s %d %lld\n", sizeof(T) == sizeof(float) ? "float32" : "float64", c.per_edge(),
              (long long)c.lines.length);
  for (int64_t k = 0; k < c.lines.length; ++k) std::printf("%a ", double(c.LineOfX(l)[k]));
  for (int64_t k = 0; k < (c.per_edge() ? c.edges() : 1); ++k) {
    std::printf("%a ", double(c.LineOfLam(l)[k]));
  }
  std::printf("\n");
}

// Enough lines side by side for every lane, all the one that is read.
template <typename T>
void Serve(bool newton, bool per_edge, int64_t n) {
  constexpr int64_t kLines = 32;
  const auto next = [] {
    std::string word;
    std::cin >> word;
    return T(std::strtod(word.c_str(), nullptr));
  };
  Case<T> c;
  c.lines = {n > jaxtv::kLongLine ? 1 : kLines, n, 1};
  c.weights = fuzz::LayoutOf(c.lines, false, per_edge, false);
  std::vector<T> line;
  for (int64_t k = 0; k < n; ++k) line.push_back(next());
  for (int64_t k = 0; k < (per_edge ? c.edges() : 1); ++k) c.lam.push_back(next());
  Random random(1, 1);
  for (int64_t l = 0; l < c.lines.count(); ++l) {
    c.x.insert(c.x.end(), line.begin(), line.end());
    for (int64_t k = 0; k < n; ++k) c.v.push_back(T(random.Normal()));
  }
  const fuzz::Answers<T> answers = fuzz::AnswersTo(c, newton);
  std::string fault;
  for (int64_t l = 0; l < c.lines.count() && fault.empty(); ++l) {
    Worst worst;
    fault = fuzz::Fault(c, answers, l, &worst);
  }
  std::printf("%016llx %s\n", (unsigned long long)fuzz::Digest(0, answers), fault.c_str());
  std::fflush(stdout);
}

int ServeAll() {
  std::string type;
  int newton, per_edge;
  for (int64_t n; std::cin >> newton >> type >> per_edge >> n;) {
    (type == "float32" ? Serve<float> : Serve<double>)(newton, per_edge, n);
  }
  return 0;
}

}  // namespace

int main(int count, char** words) {
  const auto number = [&](int i) { return std::atoll(words[i]); };
  const std::string task = count > 1 ? words[1] : "";
  if (task == "run" && count == 7) {
    return Run(uint64_t(number(2)), number(3), number(4), number(5), number(6) != 0);
  }
  if (task == "show" && count == 5) {
    WithBatch(uint64_t(number(2)), number(3), [&](const auto& c, bool) { Show(c, number(4)); });
    return 0;
  }
  if (task == "serve" && count == 2) return ServeAll();
  std::fprintf(stderr, "fuzz_lines run SEED FIRST COUNT BLOCK CHECK | show ... | serve\n");
  return 2;
}
