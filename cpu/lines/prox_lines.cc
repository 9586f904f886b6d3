// SPDX-License-Identifier: MIT
#include "cpu/lines/prox_lines.h"

#include <algorithm>

#include "core/run.h"
#include "core/tv1d.h"
#include "cpu/lines/long/prox.h"
#include "cpu/lines/taut_string.h"
#include "cpu/lockstep/this_processor.h"
#include "cpu/threads/memory.h"
#include "cpu/threads/parallel_for.h"

namespace jaxtv {
namespace {

// Fewer lines do not fill the lanes, but from this length on, chunks of one do.
constexpr int64_t kMinLines = 4, kChunkedLine = 2048;

template <typename T>
const LaneKernels<T>* LanesFor(int64_t lines, int64_t length, bool near) {
  if (lines < kMinLines || length < 2 || length > kLongLine) return nullptr;
  return near ? NearLanes<T>() : Lanes<T>();
}

// Memory for batches of at most `lines` lines, of which `scratch` bytes are for the kernels. `ok`
// is false where there is none.
template <typename T>
class BatchBuffers {
 public:
  BatchBuffers(int64_t lines, int64_t scratch) : lines_(lines) {
    const int64_t bytes = OwnBytes() + scratch;
    if (bytes >= kLargeMemory) large_ = AllocateVectors(bytes);
    memory_ = static_cast<char*>(bytes >= kLargeMemory ? large_.get() : ThreadMemory(bytes));
  }

  bool ok() const { return memory_ != nullptr; }
  const T** x() { return reinterpret_cast<const T**>(memory_); }
  const T** lam() { return x() + lines_; }
  T** y() { return reinterpret_cast<T**>(memory_) + 2 * lines_; }
  bool* solved() { return reinterpret_cast<bool*>(y() + lines_); }
  void* scratch() { return memory_ + OwnBytes(); }

 private:
  // Those of all but the scratch memory, which is aligned.
  int64_t OwnBytes() const {
    return (lines_ * int64_t(3 * sizeof(T*) + sizeof(bool)) + 63) / 64 * 64;
  }

  int64_t lines_;
  Memory large_;
  char* memory_;
};

// Lines [begin, end) in lock step. Returns the first one that is left for want of memory.
template <typename T>
int64_t ProxInLanes(const LaneKernels<T>& lanes, const Lines& lines, const WeightLayout& weights,
                    const T* x, const T* lam, T* y, int64_t begin, int64_t end, bool near) {
  const int64_t n = lines.length, most = std::min(lanes.batch(n), end - begin);
  const bool per_edge = weights.edge_stride != 0;
  BatchBuffers<T> buffers(
      most, near ? lanes.near_scratch(n, per_edge) : lanes.scratch(most, n, per_edge));
  for (; buffers.ok() && begin < end; begin += most) {
    const int64_t count = std::min(most, end - begin);
    for (int64_t l = 0; l < count; ++l) {
      const int64_t first = lines.First(begin + l);
      buffers.x()[l] = x + first;
      buffers.lam()[l] = weights.At(lam, begin + l).data;
      buffers.y()[l] = y + first;
    }
    (near ? lanes.prox_near : lanes.prox)({count, n, lines.inner, weights.edge_stride, buffers.x(),
                                           buffers.lam(), buffers.y(), MarkTautJumps<T>},
                                          buffers.scratch(), buffers.solved());
    for (int64_t l = 0; l < count; ++l) {
      if (buffers.solved()[l]) continue;
      ProxLine(lines.At(x, begin + l), weights.At(lam, begin + l), n, lines.At(y, begin + l),
               TautRest{});
    }
  }
  return std::min(begin, end);
}

template <typename T>
void Prox(const Lines& lines, const WeightLayout& weights, const T* x, const T* lam, T* y,
          int64_t begin, int64_t end, bool near) {
  const int64_t n = lines.length;
  if (const LaneKernels<T>* lanes = LanesFor<T>(end - begin, n, near)) {
    begin = ProxInLanes(*lanes, lines, weights, x, lam, y, begin, end, near);
  }
  if (n > kLongLine || (n >= kChunkedLine && Lanes<T>() != nullptr)) {
    ThisThread alone;
    ProxLongLines(alone, lines, weights, x, lam, y, begin, end);
    return;
  }
  for (; begin < end; ++begin) {
    ProxLine(lines.At(x, begin), weights.At(lam, begin), n, lines.At(y, begin), TautRest{});
  }
}

}  // namespace

template <typename T>
void ProxLines(const Lines& lines, const WeightLayout& weights, const T* x, const T* lam, T* y,
               int64_t begin, int64_t end) {
  Prox(lines, weights, x, lam, y, begin, end, false);
}

template <typename T>
void ProxLinesNear(const Lines& lines, const WeightLayout& weights, const T* x, const T* lam, T* y,
                   int64_t begin, int64_t end) {
  Prox(lines, weights, x, lam, y, begin, end, true);
}

template void ProxLines(const Lines&, const WeightLayout&, const float*, const float*, float*,
                        int64_t, int64_t);
template void ProxLines(const Lines&, const WeightLayout&, const double*, const double*, double*,
                        int64_t, int64_t);
template void ProxLinesNear(const Lines&, const WeightLayout&, const float*, const float*, float*,
                            int64_t, int64_t);
template void ProxLinesNear(const Lines&, const WeightLayout&, const double*, const double*,
                            double*, int64_t, int64_t);

}  // namespace jaxtv
