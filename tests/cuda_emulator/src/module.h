// SPDX-License-Identifier: MIT
//
// What the symbol table and the debug information of this very library say: names of kernels,
// shared arrays, and source lines of instructions.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_SRC_MODULE_H_
#define JAXTV_TESTS_CUDA_EMULATOR_SRC_MODULE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace jaxtv::emulator {

class Module {
 public:
  // A function-local thread_local variable of a `.cu` file; its address depends on the thread.
  struct SharedArray {
    std::string name;
    size_t offset;  // in the library's TLS block
    size_t bytes;
    int file;  // number of the source file
  };

  Module();

  // Those of the kernel's source file, among which are all that the kernel can name.
  const std::vector<SharedArray>& SharedArraysOf(const void* kernel);
  // The calling thread's TLS block of this library.
  char* ThreadLocalBlock() const;
  size_t thread_local_bytes() const { return thread_local_bytes_; }

  uint32_t CodeOffset(const void* pc) const {
    return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(pc) - base_);
  }
  bool Contains(const void* address) const {
    const auto a = reinterpret_cast<uintptr_t>(address);
    return a >= base_ && a < end_;
  }
  std::string FunctionName(const void* function) const;
  // "file:line" for return addresses given as code offsets; asks addr2line once for all of them.
  std::map<uint32_t, std::string> Lines(const std::vector<uint32_t>& return_addresses) const;

 private:
  struct Function {
    std::string name;
    int file;  // kAnyFile if other files can call it
  };
  static constexpr int kAnyFile = -1;

  void ReadSymbols();

  std::string path_;
  uintptr_t base_ = 0, end_ = 0;
  size_t anchor_offset_ = 0, thread_local_bytes_ = 0;
  std::vector<SharedArray> shared_arrays_;
  std::map<const void*, std::vector<SharedArray>> arrays_of_kernels_;
  std::map<uintptr_t, Function> functions_;
};

Module& TheModule();

}  // namespace jaxtv::emulator

#endif  // JAXTV_TESTS_CUDA_EMULATOR_SRC_MODULE_H_
