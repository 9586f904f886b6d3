// SPDX-License-Identifier: MIT
// What compilers are told of a loop over many arrays of pixels.
#pragma once

// Before a loop whose turns do not depend on each other. Whether arrays overlap, compilers would
// ask at run time, for a few arrays at most.
#if defined(__clang__)
#define JAXTV_EACH_ALONE _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define JAXTV_EACH_ALONE _Pragma("GCC ivdep")
#else
#define JAXTV_EACH_ALONE
#endif
