// SPDX-License-Identifier: MIT
//
// The whole runtime as one translation unit: most of the time to compile any of its files goes to
// headers of the standard library, which are parsed once here.
#include "block.cc"
#include "checker.cc"
#include "diagnosis.cc"
#include "fiber.cc"
#include "findings.cc"
#include "happens_before.cc"
#include "hooks.cc"
#include "host_api.cc"
#include "interleave.cc"
#include "launch.cc"
#include "module.cc"
#include "scheduler.cc"
#include "warp.cc"
