// SPDX-License-Identifier: MIT
#include "module.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

// The linker puts this in the same TLS block as the shared arrays of the kernels, so the
// difference of its address and its offset in the symbol table is where the block begins.
extern "C" thread_local char jaxtv_emulator_tls_anchor;
thread_local char jaxtv_emulator_tls_anchor = 0;

namespace jaxtv::emulator {
namespace {

std::string Demangle(const char* symbol) {
  int status = 0;
  char* readable = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  std::string name = status == 0 ? readable : symbol;
  std::free(readable);
  const std::string anonymous = "(anonymous namespace)::";
  for (size_t at; (at = name.find(anonymous)) != std::string::npos;) {
    name.erase(at, anonymous.size());
  }
  return name;
}

bool EndsWith(const std::string& text, const char* suffix) {
  const size_t n = std::strlen(suffix);
  return text.size() >= n && text.compare(text.size() - n, n, suffix) == 0;
}

std::string FileName(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

Module& TheModule() {
  static Module module;
  return module;
}

Module::Module() {
  Dl_info info;
  dladdr(reinterpret_cast<void*>(&TheModule), &info);
  char* real_path = realpath(info.dli_fname, nullptr);
  path_ = real_path ? real_path : info.dli_fname;
  std::free(real_path);
  base_ = reinterpret_cast<uintptr_t>(info.dli_fbase);
  ReadSymbols();
}

void Module::ReadSymbols() {
  std::ifstream file(path_, std::ios::binary);
  const std::vector<char> image((std::istreambuf_iterator<char>(file)), {});
  if (image.size() < sizeof(Elf64_Ehdr)) return;
  const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(image.data());

  const auto* segments = reinterpret_cast<const Elf64_Phdr*>(image.data() + header.e_phoff);
  for (int i = 0; i < header.e_phnum; ++i) {
    const Elf64_Phdr& segment = segments[i];
    if (segment.p_type == PT_TLS) thread_local_bytes_ = segment.p_memsz;
    if (segment.p_type == PT_LOAD) {
      end_ = std::max(end_, base_ + segment.p_vaddr + segment.p_memsz);
    }
  }

  const auto* sections = reinterpret_cast<const Elf64_Shdr*>(image.data() + header.e_shoff);
  for (int i = 0; i < header.e_shnum; ++i) {
    if (sections[i].sh_type != SHT_SYMTAB) continue;
    const auto* symbols = reinterpret_cast<const Elf64_Sym*>(image.data() + sections[i].sh_offset);
    const char* strings = image.data() + sections[sections[i].sh_link].sh_offset;
    const size_t count = sections[i].sh_size / sizeof(Elf64_Sym);
    // Local symbols follow the name of the file that they come from. Thread-local variables of
    // other files must stay out: shared arrays are poisoned.
    std::string source;
    int file = 0;
    for (size_t s = 0; s < count; ++s) {
      const Elf64_Sym& symbol = symbols[s];
      const char* name = strings + symbol.st_name;
      const int type = ELF64_ST_TYPE(symbol.st_info);
      if (type == STT_FILE) {
        source = name;
        ++file;
      }
      if (type == STT_FUNC && symbol.st_value != 0) {
        const bool is_private = ELF64_ST_BIND(symbol.st_info) == STB_LOCAL;
        functions_.emplace(symbol.st_value, Function{name, is_private ? file : kAnyFile});
      }
      if (type != STT_TLS) continue;
      if (std::strcmp(name, "jaxtv_emulator_tls_anchor") == 0) anchor_offset_ = symbol.st_value;
      const bool is_local = std::strncmp(name, "_ZZ", 3) == 0;
      if (is_local && EndsWith(source, ".cu")) {
        shared_arrays_.push_back({Demangle(name), symbol.st_value, symbol.st_size, file});
      }
    }
  }
}

char* Module::ThreadLocalBlock() const { return &jaxtv_emulator_tls_anchor - anchor_offset_; }

const std::vector<Module::SharedArray>& Module::SharedArraysOf(const void* kernel) {
  const auto [found, is_new] = arrays_of_kernels_.try_emplace(kernel);
  if (!is_new) return found->second;
  const auto function = functions_.find(reinterpret_cast<uintptr_t>(kernel) - base_);
  const int file = function == functions_.end() ? kAnyFile : function->second.file;
  for (const SharedArray& array : shared_arrays_) {
    if (file == kAnyFile || array.file == file) found->second.push_back(array);
  }
  return found->second;
}

std::string Module::FunctionName(const void* function) const {
  const auto found = functions_.find(reinterpret_cast<uintptr_t>(function) - base_);
  if (found == functions_.end()) return "kernel";
  std::string name = Demangle(found->second.name.c_str());
  // The parameter list makes reports long and says nothing that the name does not.
  if (name.rfind("void ", 0) == 0) name.erase(0, 5);
  return name.substr(0, name.find('('));
}

std::map<uint32_t, std::string> Module::Lines(const std::vector<uint32_t>& return_addresses) const {
  std::map<uint32_t, std::string> lines;
  if (return_addresses.empty()) return lines;
  std::string command = "addr2line -a -i -e '" + path_ + "'";
  char number[32];
  for (const uint32_t address : return_addresses) {
    // One before the return address is inside the call, so on its line.
    std::snprintf(number, sizeof(number), " 0x%x", address - 1);
    command += number;
    lines[address] = "unknown line";
  }
  FILE* output = popen(command.c_str(), "r");
  if (output == nullptr) return lines;
  char text[4096];
  uint32_t address = 0;
  while (std::fgets(text, sizeof(text), output)) {
    std::string line(text, std::strcspn(text, " \n"));
    if (line.rfind("0x", 0) == 0) {
      address = static_cast<uint32_t>(std::strtoul(line.c_str(), nullptr, 16)) + 1;
    } else if (lines[address] == "unknown line" && line[0] != '?' &&
               line.find("jaxtv_emulator/") == std::string::npos) {
      // Frames of inlined functions come innermost first; the emulator's own say nothing.
      lines[address] = FileName(line);
    }
  }
  pclose(output);
  return lines;
}

}  // namespace jaxtv::emulator
