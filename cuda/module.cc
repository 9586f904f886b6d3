// SPDX-License-Identifier: MIT
// The Python module _cuda. It needs no driver until a handler is called.
#include <cuda_runtime_api.h>
#include <nanobind/stl/vector.h>

#include "cuda/images/sweeps.h"
#include "cuda/images/sweeps_by_lines.h"
#include "cuda/images/work_space.h"
#include "cuda/isotropic/steps.h"
#include "cuda/lines/kernel_choice.h"
#include "cuda/lines/tv1d_mass.h"
#include "cuda/lines/tv1d_newton.h"
#include "cuda/lines/work_space.h"
#include "ffi/registry.h"

NB_MODULE(_cuda, module) {
  jaxtv::DefineModule(
      module,
      {jaxtv::Tv1dHandlers(), jaxtv::Tv1dNewtonHandlers(), jaxtv::Tv1dMassHandlers(),
       jaxtv::PullBackHandlers(), jaxtv::ComponentMeanHandlers(), jaxtv::AlternatingHandlers(),
       jaxtv::SweepsHandlers(), jaxtv::SweepsByLinesHandlers(), jaxtv::IsotropicStepsHandlers()});
  // Work space, which the lowering adds as a last result and drops, by target: bytes per sample,
  // the longest line that needs none, bytes per sample and axis of images, and bytes per image.
  nanobind::dict scratch;
  using namespace jaxtv::cuda;
  scratch["jaxtv_prox_tv1d"] = nanobind::make_tuple(kProxSampleBytes, kOnChipLength);
  scratch["jaxtv_prox_tv1d_newton"] = nanobind::make_tuple(kNewtonSampleBytes, 1);
  scratch["jaxtv_prox_tv1d_mass"] = nanobind::make_tuple(kMassSampleBytes, 0);
  scratch["jaxtv_pull_back"] = nanobind::make_tuple(kChunkSampleBytes, kGridLength);
  scratch["jaxtv_component_mean"] =
      nanobind::make_tuple(kComponentSampleBytes, 0, kComponentAxisBytes);
  scratch["jaxtv_alternating"] =
      nanobind::make_tuple(kSolveSampleBytes, 0, kSolveAxisBytes, kSolveImageBytes);
  scratch["jaxtv_sweeps_by_lines"] = nanobind::make_tuple(0, 0, 0, kSpoiltImageBytes);
  scratch["jaxtv_sweeps_by_lines_reverse"] = nanobind::make_tuple(kReverseSampleBytes, 0);
  scratch["jaxtv_isotropic_steps"] = nanobind::make_tuple(0, 0, kStepsAxisBytes);
  module.attr("scratch") = scratch;
  // Of the runtime that is linked in, which asks for a driver as new: 12090 is 12.9.
  module.attr("cuda_version") = CUDART_VERSION;
  // By target, whether its kernels take images of these sizes along their axes, and bytes per
  // sample.
  nanobind::dict takes;
  takes["jaxtv_sweeps"] =
      nanobind::cpp_function([](const std::vector<int64_t>& sizes, int64_t sample_bytes) {
        return sizes.size() == 2 && FitsShared(sizes[0], sizes[1], sample_bytes);
      });
  takes["jaxtv_sweeps_reverse"] = takes["jaxtv_sweeps"];
  takes["jaxtv_sweeps_by_lines"] =
      nanobind::cpp_function([](const std::vector<int64_t>& sizes, int64_t sample_bytes) {
        return sizes.size() == 2 && SweptByLines(sizes[0], sizes[1], sample_bytes);
      });
  takes["jaxtv_sweeps_by_lines_reverse"] = takes["jaxtv_sweeps_by_lines"];
  takes["jaxtv_prox_tv1d_unrounded"] = nanobind::cpp_function(
      [](const std::vector<int64_t>& sizes, int64_t) { return sizes[0] <= kHalfLength; });
  takes["jaxtv_isotropic_steps"] = nanobind::cpp_function(&FitsRegion);
  module.attr("takes") = takes;
  // Targets that read and write half types, and up to which size along their axes.
  nanobind::dict half_types;
  half_types["jaxtv_prox_tv1d"] = kHalfLength;
  half_types["jaxtv_prox_tv1d_unrounded"] = kHalfLength;
  half_types["jaxtv_pull_back"] = kHalfLength;
  half_types["jaxtv_sweeps"] = INT64_MAX;
  half_types["jaxtv_sweeps_reverse"] = INT64_MAX;
  module.attr("half_types") = half_types;
}
