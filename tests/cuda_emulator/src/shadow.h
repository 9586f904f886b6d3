// SPDX-License-Identifier: MIT
//
// What the checker remembers of each 4 bytes of checked memory.
#ifndef JAXTV_TESTS_CUDA_EMULATOR_SRC_SHADOW_H_
#define JAXTV_TESTS_CUDA_EMULATOR_SRC_SHADOW_H_

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

namespace jaxtv::emulator {

// Code that touched memory: an offset in the library, or, with the top bit set, a number from
// Checker::InternSite.
using Code = uint32_t;
constexpr Code kSiteBit = 0x80000000u;

struct Access {
  uint32_t launch;  // 0: none
  uint32_t block;
  uint32_t epoch;  // block barriers passed before
  uint32_t clock;  // synchronisations of the thread before
  Code code;
  uint16_t thread;
  uint8_t bytes;  // bit i: byte i of the cell
  bool atomic;
};

constexpr int kNumReaders = 3;

struct Cell {
  Access writer;
  Access readers[kNumReaders];
  uint32_t init_stamp;  // shared memory: the block in which `initialised` was filled
  uint8_t initialised;  // bit i: byte i
};

struct CellDeleter {
  void operator()(Cell* cells) const { std::free(cells); }
};

enum class RegionKind { kShared, kInput, kOutput, kInOut };

struct Region {
  const char* base;
  size_t bytes;
  RegionKind kind;
  std::string name;
  std::unique_ptr<Cell[], CellDeleter> cells;

  Region(const void* base, size_t bytes, RegionKind kind, std::string name)
      : base(static_cast<const char*>(base)), bytes(bytes), kind(kind), name(std::move(name)) {}

  bool Contains(const char* address) const { return address >= base && address < base + bytes; }

  // All-zero cells mean "never touched"; calloc leaves pages of large buffers unmapped until use.
  void AllocateCells() {
    if (cells) return;
    void* zeroed = std::calloc(bytes / 4 + 1, sizeof(Cell));
    if (zeroed == nullptr) throw std::bad_alloc();
    cells.reset(static_cast<Cell*>(zeroed));
  }
};

}  // namespace jaxtv::emulator

#endif  // JAXTV_TESTS_CUDA_EMULATOR_SRC_SHADOW_H_
