// SPDX-License-Identifier: MIT
// The operands of the sweeps and of their reverse, checked.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/sweeps.h"
#include "ffi/operands.h"

namespace jaxtv {

inline ffi::Error RefuseSweeps(const std::string& why) {
  return ffi::Error::InvalidArgument("jaxtv: " + why);
}

// So many that no number of codes overflows.
constexpr int64_t kMostSweeps = 0x7fffffff;

// An array, seen as samples that begin at the first of the axes.
struct SweepShape {
  int64_t first, samples, pixels, num_sweeps;
  std::vector<Lines> lines;  // the lines of the whole array, along each axis

  static ffi::ErrorOr<SweepShape> Of(ffi::AnyBuffer::Dimensions dims, ffi::Span<const int64_t> axes,
                                     int64_t num_sweeps) {
    if (axes.size() < 2) return ffi::Unexpected(RefuseSweeps("sweeps need at least two axes"));
    if (num_sweeps < 1 || num_sweeps > kMostSweeps) {
      return ffi::Unexpected(RefuseSweeps(
          "num_sweeps must be at least 1 and at most 2^31 - 1, got " + std::to_string(num_sweeps)));
    }
    SweepShape shape{axes[0], 1, 1, num_sweeps, {}};
    for (size_t a = 0; a < axes.size(); ++a) {
      const auto lines = LinesAlong(dims, axes[a]);
      if (lines.has_error()) return ffi::Unexpected(lines.error());
      for (size_t b = 0; b < a; ++b) {
        if (axes[b] == axes[a]) return ffi::Unexpected(RefuseSweeps("axes must differ"));
      }
      shape.first = std::min(shape.first, axes[a]);
      shape.lines.push_back(*lines);
    }
    for (size_t d = 0; d < dims.size(); ++d) {
      (int64_t(d) < shape.first ? shape.samples : shape.pixels) *= dims[d];
    }
    return shape;
  }

  // An error unless `bits` holds the planes of codes of an array of shape `dims`.
  ffi::Error CheckBits(ffi::AnyBuffer bits, ffi::AnyBuffer::Dimensions dims) const {
    std::vector<int64_t> wanted(dims.begin(), dims.end());
    wanted.insert(wanted.begin() + first, CodePlanes(int64_t(lines.size()) * num_sweeps));
    if (bits.element_type() != ffi::U8 ||
        ToString(bits.dimensions()) != ToString({wanted.data(), wanted.size()})) {
      return RefuseSweeps("the codes must be uint8 of shape " +
                          ToString({wanted.data(), wanted.size()}) + ", got shape " +
                          ToString(bits.dimensions()));
    }
    return ffi::Error::Success();
  }
};

// The weights along each of the axes.
inline ffi::ErrorOr<std::vector<WeightLayout>> SweepWeights(ffi::RemainingArgs lams,
                                                            ffi::AnyBuffer x,
                                                            ffi::Span<const int64_t> axes) {
  if (lams.size() != axes.size()) {
    return ffi::Unexpected(RefuseSweeps(std::to_string(lams.size()) + " weights for " +
                                        std::to_string(axes.size()) + " axes"));
  }
  std::vector<WeightLayout> layouts;
  for (size_t a = 0; a < axes.size(); ++a) {
    const auto lam = lams.get<ffi::AnyBuffer>(a);
    if (lam.has_error()) return ffi::Unexpected(lam.error());
    if (lam->element_type() != ComputedIn(x.element_type())) {
      return ffi::Unexpected(RefuseSweeps("every lam must have the dtype that x is computed in"));
    }
    const auto layout = WeightsAlong(lam->dimensions(), x.dimensions(), axes[a]);
    if (layout.has_error()) return ffi::Unexpected(layout.error());
    layouts.push_back(*layout);
  }
  return layouts;
}

// The codes among the results, or null if they are not kept. Behind them are `others`.
inline ffi::ErrorOr<uint8_t*> CodesOf(const SweepShape& shape, ffi::RemainingRets kept,
                                      bool keep_bits, ffi::AnyBuffer::Dimensions dims,
                                      size_t others) {
  if (kept.size() != size_t(keep_bits) + others) {
    return ffi::Unexpected(RefuseSweeps("the codes are one more result where they are kept"));
  }
  if (!keep_bits) return nullptr;
  auto bits = kept.get<ffi::AnyBuffer>(0);
  if (bits.has_error()) return ffi::Unexpected(bits.error());
  if (auto error = shape.CheckBits(**bits, dims); error.failure()) return ffi::Unexpected(error);
  return static_cast<uint8_t*>((*bits)->untyped_data());
}

// Whether each weight's cotangent is per edge, from results in the shape of `y_bar` but for the
// size along the weight's own axis: the number of edges, or 1 for a number per line. Behind them
// are `others`.
inline ffi::ErrorOr<std::vector<bool>> CotangentsPerEdge(ffi::RemainingRets lam_bars,
                                                         ffi::AnyBuffer y_bar,
                                                         ffi::Span<const int64_t> axes,
                                                         ffi::Span<const int64_t> edges,
                                                         size_t others) {
  if (lam_bars.size() != axes.size() + others || edges.size() != axes.size()) {
    return ffi::Unexpected(RefuseSweeps("each axis needs one cotangent of a weight"));
  }
  std::vector<bool> per_edge;
  for (size_t a = 0; a < axes.size(); ++a) {
    auto lam_bar = lam_bars.get<ffi::AnyBuffer>(a);
    if (lam_bar.has_error()) return ffi::Unexpected(lam_bar.error());
    const auto dims = y_bar.dimensions();
    std::vector<int64_t> wanted(dims.begin(), dims.end());
    wanted[axes[a]] = edges[a] ? dims[axes[a]] - 1 : 1;
    if ((*lam_bar)->element_type() != ComputedIn(y_bar.element_type()) || wanted[axes[a]] < 0 ||
        ToString((*lam_bar)->dimensions()) != ToString({wanted.data(), wanted.size()})) {
      return ffi::Unexpected(RefuseSweeps("the cotangent of a weight must have shape " +
                                          ToString({wanted.data(), wanted.size()}) + ", got " +
                                          ToString((*lam_bar)->dimensions())));
    }
    per_edge.push_back(edges[a] != 0);
  }
  return per_edge;
}

// A call of the sweeps, checked. Behind the codes are `others` among the results.
struct SweepCall {
  SweepShape shape;
  std::vector<WeightLayout> weights;
  uint8_t* bits;  // null if they are not kept

  static ffi::ErrorOr<SweepCall> Of(ffi::AnyBuffer x, ffi::RemainingArgs lams,
                                    ffi::Result<ffi::AnyBuffer> y, ffi::RemainingRets kept,
                                    ffi::Span<const int64_t> axes, int64_t num_sweeps,
                                    bool keep_bits, size_t others = 0) {
    const auto shape = SweepShape::Of(x.dimensions(), axes, num_sweeps);
    if (shape.has_error()) return ffi::Unexpected(shape.error());
    const auto weights = SweepWeights(lams, x, axes);
    if (weights.has_error()) return ffi::Unexpected(weights.error());
    if (auto error = CheckLike(x, *y, "the result"); error.failure()) return ffi::Unexpected(error);
    const auto bits = CodesOf(*shape, kept, keep_bits, x.dimensions(), others);
    if (bits.has_error()) return ffi::Unexpected(bits.error());
    return SweepCall{*shape, *weights, *bits};
  }
};

// A call of their reverse, checked. Behind the cotangents of weights are `others`.
struct ReverseCall {
  SweepShape shape;
  std::vector<bool> per_edge;

  static ffi::ErrorOr<ReverseCall> Of(ffi::AnyBuffer y_bar, ffi::AnyBuffer bits,
                                      ffi::Result<ffi::AnyBuffer> x_bar,
                                      ffi::RemainingRets lam_bars, ffi::Span<const int64_t> axes,
                                      int64_t num_sweeps, ffi::Span<const int64_t> edges,
                                      size_t others = 0) {
    const auto shape = SweepShape::Of(y_bar.dimensions(), axes, num_sweeps);
    if (shape.has_error()) return ffi::Unexpected(shape.error());
    if (auto error = shape->CheckBits(bits, y_bar.dimensions()); error.failure()) {
      return ffi::Unexpected(error);
    }
    if (auto error = CheckLike(y_bar, *x_bar, "the result"); error.failure()) {
      return ffi::Unexpected(error);
    }
    const auto per_edge = CotangentsPerEdge(lam_bars, y_bar, axes, edges, others);
    if (per_edge.has_error()) return ffi::Unexpected(per_edge.error());
    return ReverseCall{*shape, *per_edge};
  }
};

// The operands, results and attributes of the handlers, after their context.
template <typename Context>
auto SweepsBinding() {
  return ffi::Ffi::Bind()
      .Ctx<Context>()
      .template Arg<ffi::AnyBuffer>()  // x
      .RemainingArgs()                 // lam, one per axis
      .template Ret<ffi::AnyBuffer>()  // y
      .RemainingRets()                 // the codes, if kept; work space, if any
      .template Attr<ffi::Span<const int64_t>>("axes")
      .template Attr<int64_t>("num_sweeps")
      .template Attr<bool>("keep_bits");
}

template <typename Context>
auto ReverseBinding() {
  return ffi::Ffi::Bind()
      .Ctx<Context>()
      .template Arg<ffi::AnyBuffer>()  // y_bar
      .template Arg<ffi::AnyBuffer>()  // the codes
      .template Ret<ffi::AnyBuffer>()  // x_bar
      .RemainingRets()                 // lam_bar, one per axis; work space, if any
      .template Attr<ffi::Span<const int64_t>>("axes")
      .template Attr<int64_t>("num_sweeps")
      .template Attr<ffi::Span<const int64_t>>("edges");
}

}  // namespace jaxtv
