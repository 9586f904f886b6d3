// SPDX-License-Identifier: MIT
#include "cpu/tv1d_lines.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <type_traits>

#include "core/run.h"
#include "core/tv1d.h"
#include "cpu/isa.h"
#include "cpu/tv1d_lanes.h"
#include "cpu/tv1d_long.h"

namespace jaxtv {
namespace {

// Fewer lines do not fill the lanes.
constexpr int64_t kMinLines = 4;

// Two lanes are slower than scalar code.
constexpr int64_t kMinLanes = 4;

// The kernels of this processor; null for none but the scalar code.
const LaneSet* FindLanes() {
#if defined(JAXTV_LANES)
  switch (FindIsa()) {
    case Isa::kPortable:
      return &portable::Kernels();
#if defined(__x86_64__)
    case Isa::kAvx2:
      return &avx2::Kernels();
    case Isa::kAvx512:
      return &avx512::Kernels();
#endif
    default:
      break;
  }
#endif
  return nullptr;
}

template <typename T>
const LaneKernels<T>* LanesFor(int64_t lines, int64_t length) {
  return lines < kMinLines || length < 2 || length > kLongLine ? nullptr : Lanes<T>();
}

// Memory for batches of at most `lines` lines. `ok` is false where there is none.
template <typename T>
class BatchBuffers {
 public:
  BatchBuffers(const LaneKernels<T>& lanes, int64_t lines, int64_t length, bool edges)
      : pointers_(new (std::nothrow) const T*[2 * lines]),
        results_(new (std::nothrow) T*[lines]),
        solved_(new (std::nothrow) bool[lines]),
        scratch_(AllocateVectors(lanes.scratch(lines, length, edges))),
        lines_(lines) {}

  bool ok() const { return pointers_ && results_ && solved_ && scratch_; }
  const T** x() { return pointers_.get(); }
  const T** lam() { return pointers_.get() + lines_; }
  T** y() { return results_.get(); }
  bool* solved() { return solved_.get(); }
  void* scratch() { return scratch_.get(); }

 private:
  std::unique_ptr<const T*[]> pointers_;
  std::unique_ptr<T*[]> results_;
  std::unique_ptr<bool[]> solved_;
  Memory scratch_;
  int64_t lines_;
};

}  // namespace

template <typename T>
const LaneKernels<T>* Lanes() {
  static const LaneSet* const set = FindLanes();
  if (set == nullptr) return nullptr;
  const LaneKernels<T>* lanes;
  if constexpr (std::is_same_v<T, float>) {
    lanes = &set->f32;
  } else {
    lanes = &set->f64;
  }
  return lanes->lanes < kMinLanes ? nullptr : lanes;
}

template <typename T>
void ProxLines(const Lines& lines, const WeightLayout& weights, const T* x, const T* lam, T* y,
               int64_t begin, int64_t end) {
  const int64_t n = lines.length;
  if (n > kLongLine) {
    ThisThread alone;
    ProxLongLines(alone, lines, weights, x, lam, y, begin, end);
    return;
  }
  if (const LaneKernels<T>* lanes = LanesFor<T>(end - begin, n)) {
    const int64_t most = std::min(lanes->batch(n), end - begin);
    BatchBuffers<T> buffers(*lanes, most, n, weights.edge_stride != 0);
    for (; buffers.ok() && begin < end; begin += most) {
      const int64_t count = std::min(most, end - begin);
      for (int64_t l = 0; l < count; ++l) {
        buffers.x()[l] = lines.At(x, begin + l).data;
        buffers.lam()[l] = weights.At(lam, begin + l).data;
        buffers.y()[l] = lines.At(y, begin + l).data;
      }
      lanes->prox({count, n, lines.inner, weights.edge_stride, buffers.x(), buffers.lam(),
                   buffers.y(), MarkTautJumps<T>},
                  buffers.scratch(), buffers.solved());
      for (int64_t l = 0; l < count; ++l) {
        if (buffers.solved()[l]) continue;
        ProxLine(lines.At(x, begin + l), weights.At(lam, begin + l), n, lines.At(y, begin + l),
                 TautRest{});
      }
    }
  }
  for (; begin < end; ++begin) {
    ProxLine(lines.At(x, begin), weights.At(lam, begin), n, lines.At(y, begin), TautRest{});
  }
}

template const LaneKernels<float>* Lanes();
template const LaneKernels<double>* Lanes();
template void ProxLines(const Lines&, const WeightLayout&, const float*, const float*, float*,
                        int64_t, int64_t);
template void ProxLines(const Lines&, const WeightLayout&, const double*, const double*, double*,
                        int64_t, int64_t);

}  // namespace jaxtv
