// SPDX-License-Identifier: MIT
// How many steps the walk of cuda/lines/walk_in_step.h takes along each of some lines, for
// cuda_costs.py.
#include <cstdint>
#include <vector>

#include "cuda/lines/walk_in_step.h"

namespace {

struct HostMemory {
  char* base;

  float& operator[](int address) const { return *reinterpret_cast<float*>(base + address); }
};

}  // namespace

extern "C" void WalkSteps(const float* x, int64_t lines, int n, float w, int* steps) {
  std::vector<float> room(3 * n + 1);  // the samples, their slots, and 1 / d
  for (int d = 1; d <= n; ++d) room[2 * n + d] = 1.0f / float(d);
  for (int64_t line = 0; line < lines; ++line) {
    for (int k = 0; k < n; ++k) room[k] = x[line * n + k];
    const HostMemory memory{reinterpret_cast<char*>(room.data())};
    jaxtv::cuda::LineWalk<HostMemory, int> walk(memory, 0, 4 * n, 1, 8 * n, n, w);
    for (steps[line] = 0; !walk.AtEnd(); ++steps[line]) walk.Step();
    walk.Finish();
  }
}
