// SPDX-License-Identifier: MIT
//
// Launches, their errors, and the calls that kernels make without meeting other threads.
#include <map>
#include <mutex>

#include "checker.h"
#include "emulator.h"
#include "machine.h"
#include "module.h"

namespace jaxtv::emulator {
namespace {

thread_local cudaError_t last_error = cudaSuccess;
thread_local cudaError_t reported_error = cudaSuccess;
thread_local std::string reported_text;

std::recursive_mutex& LaunchLock() {
  static std::recursive_mutex lock;
  return lock;
}

std::map<const void*, size_t>& DynamicLimits() {
  static std::map<const void*, size_t> limits;
  return limits;
}

std::string CheckConfig(const cudaLaunchConfig_t& config, const void* kernel) {
  const dim3& grid = config.gridDim;
  const dim3& block = config.blockDim;
  auto text = [](const dim3& d) { return Describe(uint3{d.x, d.y, d.z}); };
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 ||
      grid.z > 65535) {
    return "grid " + text(grid);
  }
  if (block.x == 0 || block.y == 0 || block.z == 0 || block.x > 1024 || block.y > 1024 ||
      block.z > 64 || block.x * block.y * block.z > kMaxThreads) {
    return "block " + text(block);
  }
  const auto found = DynamicLimits().find(kernel);
  const size_t limit = found == DynamicLimits().end() ? kDefaultDynamicBytes : found->second;
  if (config.dynamicSmemBytes > limit) {
    return std::to_string(config.dynamicSmemBytes) + " bytes of dynamic shared memory; " +
           std::to_string(limit) + " are allowed without a further cudaFuncSetAttribute";
  }
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    if (config.attrs[i].id == cudaLaunchAttributeCooperative ||
        config.attrs[i].id == cudaLaunchAttributeClusterDimension) {
      return "cooperative and cluster launches are not emulated";
    }
  }
  return "";
}

cudaError_t Finish() {
  Machine& machine = TheMachine();
  if (Checker::enabled()) {
    const std::string findings = TheChecker().TakeFindings();
    if (!findings.empty() && machine.error == cudaSuccess) {
      machine.error = cudaErrorLaunchFailure;
      machine.report = findings;
    } else {
      machine.report += findings;
    }
  }
  if (machine.error == cudaSuccess) return cudaSuccess;
  while (!machine.report.empty() && machine.report.back() == '\n') machine.report.pop_back();
  machine.report = "kernel " + KernelName() + ": " + machine.report;
  last_error = reported_error = machine.error;
  reported_text = machine.report;
  return machine.error;
}

}  // namespace

Machine& TheMachine() {
  static Machine machine;
  return machine;
}

cudaError_t Launch(const cudaLaunchConfig_t& config, const KernelCall& call) {
  const std::lock_guard<std::recursive_mutex> lock(LaunchLock());
  Machine& machine = TheMachine();
  machine.call = call;
  machine.dynamic_bytes = config.dynamicSmemBytes;
  machine.error = cudaSuccess;
  machine.report.clear();
  ++machine.num_launches;
  gridDim = config.gridDim;
  blockDim = config.blockDim;
  const std::string problem = CheckConfig(config, call.kernel);
  if (!problem.empty()) {
    Fail(cudaErrorInvalidConfiguration, "launch configuration: " + problem);
  } else {
    PrepareBlocks();
    if (Checker::enabled()) TheChecker().OnLaunch();
    Interleaves(machine.settings.order) ? RunInterleaved() : RunOneByOne();
  }
  return Finish();
}

void Fail(cudaError_t error, const std::string& message) {
  Machine& machine = TheMachine();
  if (machine.error == cudaSuccess) {
    machine.error = error;
    const bool in_block = error != cudaErrorInvalidConfiguration;
    machine.report = message + (in_block ? ", in block " + Describe(::blockIdx) : "");
  }
  // The scheduler drops the block: kernels own nothing that their stacks would have to release.
  if (machine.current != nullptr) SwitchToScheduler();
}

void MemoryFence(Fence scope, Site) {
  if (Checker::enabled()) TheChecker().OnFence(scope);
}

void BeforeAtomic(void* address, size_t bytes, Site site, Atomic kind) {
  SwitchPoint();
  if (Checker::enabled()) TheChecker().OnAtomic(address, bytes, site, kind);
}

void AfterAtomic() { Interleaves(TheMachine().settings.order) ? SwitchPoint() : Yield(); }

void FailOfLivelock() {
  Fail(cudaErrorLaunchTimeout, "livelock: thread " + Describe(TheMachine().current->index) +
                                   " spins without end, perhaps on a flag that only another "
                                   "block could set");
}

void Trap(Site site) {
  Fail(cudaErrorLaunchFailure,
       "trap: thread " + Describe(TheMachine().current->index) + " at " + Describe(site));
  __builtin_unreachable();
}

bool KeepSynchronisation(int number) { return TheMachine().settings.mutant != number; }

cudaError_t SetFunctionAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  const std::lock_guard<std::recursive_mutex> lock(LaunchLock());
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaSuccess;
  if (value < 0 || static_cast<size_t>(value) > kMaxDynamicBytes) {
    return last_error = cudaErrorInvalidValue;
  }
  DynamicLimits()[kernel] = static_cast<size_t>(value);
  return cudaSuccess;
}

}  // namespace jaxtv::emulator

using jaxtv::emulator::Checker;
using jaxtv::emulator::TheChecker;
using jaxtv::emulator::TheMachine;

cudaError_t cudaPeekAtLastError() { return jaxtv::emulator::last_error; }
cudaError_t cudaGetLastError() { return std::exchange(jaxtv::emulator::last_error, cudaSuccess); }

const char* cudaGetErrorString(cudaError_t error) {
  if (error != cudaSuccess && error == jaxtv::emulator::reported_error) {
    return jaxtv::emulator::reported_text.c_str();
  }
  return cudaGetErrorName(error);
}

extern "C" {

void jaxtv_emulator_lock() { jaxtv::emulator::LaunchLock().lock(); }
void jaxtv_emulator_unlock() { jaxtv::emulator::LaunchLock().unlock(); }

void jaxtv_emulator_register(const void* data, size_t bytes, int access, const char* name) {
  using jaxtv::emulator::RegionKind;
  const std::lock_guard<std::recursive_mutex> lock(jaxtv::emulator::LaunchLock());
  const RegionKind kind = access == kJaxtvInput    ? RegionKind::kInput
                          : access == kJaxtvOutput ? RegionKind::kOutput
                                                   : RegionKind::kInOut;
  if (bytes > 0) TheChecker().Register(data, bytes, kind, name);
}

void jaxtv_emulator_unregister(const void* data) {
  const std::lock_guard<std::recursive_mutex> lock(jaxtv::emulator::LaunchLock());
  TheChecker().Unregister(data);
}

void jaxtv_emulator_unregister_all() {
  const std::lock_guard<std::recursive_mutex> lock(jaxtv::emulator::LaunchLock());
  TheChecker().UnregisterAll();
}

const char* jaxtv_emulator_last_report() { return TheMachine().report.c_str(); }
int jaxtv_emulator_is_checking() { return Checker::enabled(); }
uint64_t jaxtv_emulator_num_launches() { return TheMachine().num_launches; }
uint64_t jaxtv_emulator_num_waits() { return TheMachine().num_waits; }

void jaxtv_emulator_set_order(int order, uint64_t seed) {
  const std::lock_guard<std::recursive_mutex> lock(jaxtv::emulator::LaunchLock());
  TheMachine().settings.order = static_cast<jaxtv::emulator::Order>(order);
  TheMachine().random.Seed(seed);
}

void jaxtv_emulator_set_poison(int byte) { TheMachine().settings.poison = byte; }
void jaxtv_emulator_set_mutant(int number) { TheMachine().settings.mutant = number; }

void jaxtv_emulator_set_fibers(int backend) {
#if defined(__x86_64__)
  TheMachine().settings.fibers = static_cast<jaxtv::emulator::FiberBackend>(backend);
#else
  static_cast<void>(backend);
#endif
}

}  // extern "C"
