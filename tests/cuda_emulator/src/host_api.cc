// SPDX-License-Identifier: MIT
//
// The host API without launches: an H100 as far as its numbers go.
#include "jaxtv_emulator/host_api.h"

#include <algorithm>
#include <cstring>

#include "checker.h"
#include "emulator.h"
#include "machine.h"

namespace jaxtv::emulator {
namespace {

struct DeviceLock {
  DeviceLock() { jaxtv_emulator_lock(); }
  ~DeviceLock() { jaxtv_emulator_unlock(); }
};

// Whether the checker agrees that the host may fill this memory.
bool MayWrite(const void* data, size_t bytes) {
  return !Checker::enabled() || TheChecker().OnHostWrite(data, bytes);
}

}  // namespace
}  // namespace jaxtv::emulator

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorNotSupported:
      return "operation not supported";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered";
    case cudaErrorLaunchTimeout:
      return "the launch timed out and was terminated";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
  }
  return "unrecognized error code";
}

cudaError_t cudaStreamSynchronize(cudaStream_t) {
  const jaxtv::emulator::DeviceLock lock;
  ++jaxtv::emulator::TheMachine().num_waits;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device != 0) return cudaErrorInvalidValue;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = 1024;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = 48 * 1024;
      break;
    case cudaDevAttrWarpSize:
      *value = 32;
      break;
    case cudaDevAttrMaxRegistersPerBlock:
      *value = 65536;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = 132;
      break;
    case cudaDevAttrL2CacheSize:
      *value = 50 * 1024 * 1024;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = 2048;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = 9;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = 0;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = 228 * 1024;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = 227 * 1024;
      break;
    case cudaDevAttrMaxBlocksPerMultiprocessor:
      *value = 32;
      break;
    default:
      return cudaErrorInvalidValue;
  }
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* data, int byte, size_t bytes, cudaStream_t) {
  const jaxtv::emulator::DeviceLock lock;
  if (!jaxtv::emulator::MayWrite(data, bytes)) return cudaErrorInvalidValue;
  std::memset(data, byte, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
  const jaxtv::emulator::DeviceLock lock;
  const bool to_host = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost;
  if (!to_host && !jaxtv::emulator::MayWrite(to, bytes)) return cudaErrorInvalidValue;
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

namespace jaxtv::emulator {

cudaError_t MaxActiveBlocks(int* blocks, int block_size, size_t dynamic_bytes) {
  if (block_size < 1 || block_size > kMaxThreads) return cudaErrorInvalidValue;
  // Each block reserves 1 KiB for the system.
  const size_t by_memory = (228 * 1024) / (dynamic_bytes + 1024);
  const int whole_warps = (block_size + kWarpSize - 1) / kWarpSize * kWarpSize;
  *blocks = std::min({32, 2048 / whole_warps, static_cast<int>(by_memory)});
  return cudaSuccess;
}

}  // namespace jaxtv::emulator
