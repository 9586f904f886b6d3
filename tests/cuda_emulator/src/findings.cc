// SPDX-License-Identifier: MIT
//
// The checker's findings in words. Source lines are looked up after the launch, on the ordinary
// stack: the lookup starts a process, for which a fiber's stack is too small.
#include <limits>

#include "checker.h"
#include "machine.h"
#include "module.h"

namespace jaxtv::emulator {
namespace {

constexpr size_t kMaxFindings = 16;

const char* Verb(AccessKind kind) {
  switch (kind) {
    case AccessKind::kRead:
      return "read";
    case AccessKind::kWrite:
      return "write";
    case AccessKind::kAtomicRead:
      return "atomic load";
    case AccessKind::kAtomicWrite:
      return "atomic store";
    default:
      return "atomic update";
  }
}

}  // namespace

void Checker::Report(const char* kind, const Region& region, size_t offset, AccessKind access_kind,
                     size_t bytes, const Access& now, const Access& before, bool before_was_write) {
  if (findings_.size() >= kMaxFindings) return;
  if (!reported_.emplace(kind, now.code, before.code).second) return;
  findings_.push_back(
      {kind, &region, offset, access_kind, bytes, now, before, before_was_write, ::blockIdx});
}

void Checker::RefuseAccess(const char* address, size_t bytes, AccessKind kind, Code code,
                           const Region* region) {
  std::string what;
  if (region != nullptr && region->kind == RegionKind::kInput && Writes(kind)) {
    what = "write to input: " + std::string(Verb(kind)) + " of " + std::to_string(bytes) +
           " bytes at offset " + std::to_string(address - region->base) + " of " + region->name;
  } else {
    what = "out of bounds: " + std::string(Verb(kind)) + " of " + std::to_string(bytes) + " bytes";
    long best = std::numeric_limits<long>::max();
    std::string nearest;
    for (const auto* regions : {&shared_[slot_], &buffers_}) {
      for (const Region& candidate : *regions) {
        const long behind = address - candidate.base - static_cast<long>(candidate.bytes);
        const long before = candidate.base - address;
        const long distance = behind >= 0 ? behind : before > 0 ? before : 0;
        if (distance >= best) continue;
        best = distance;
        nearest = " at offset " + std::to_string(address - candidate.base) + " of " +
                  candidate.name + ", which has " + std::to_string(candidate.bytes) + " bytes";
      }
    }
    what += nearest;
  }
  Access access{};
  access.code = code;
  // The line is filled in by TakeFindings.
  findings_.push_back({nullptr, nullptr, 0, kind, bytes, access, Access{}, false, ::blockIdx});
  Fail(cudaErrorIllegalAddress, what + ", by thread " + Describe(TheMachine().current->index));
  __builtin_unreachable();
}

std::string Checker::DescribeCode(Code code, const std::map<uint32_t, std::string>& lines) const {
  if (code & kSiteBit) return Describe(sites_[code & ~kSiteBit]);
  const auto found = lines.find(code);
  return found == lines.end() ? "unknown line" : found->second;
}

std::string Checker::TakeFindings() {
  std::set<uint32_t> codes;
  for (const Finding& finding : findings_) {
    for (const Code code : {finding.now.code, finding.before.code}) {
      if (code != 0 && !(code & kSiteBit)) codes.insert(code);
    }
  }
  const auto lines = TheModule().Lines({codes.begin(), codes.end()});

  // A finding without a kind belongs to the error that ended the launch; it adds only the line.
  std::string fatal, text;
  for (const Finding& finding : findings_) {
    const std::string place = DescribeCode(finding.now.code, lines);
    if (finding.kind == nullptr) {
      fatal = " at " + place + "\n";
      continue;
    }
    text += std::string(finding.kind) + ": " + Verb(finding.access_kind) + " of " +
            std::to_string(finding.bytes) + " bytes at offset " + std::to_string(finding.offset) +
            " of " + finding.region->name + " by thread " + Describe(IndexOf(finding.now.thread)) +
            " of block " + Describe(finding.block_index) + " at " + place;
    if (finding.before.launch != 0) {
      text += std::string(", not ordered after the ") + (finding.before.atomic ? "atomic " : "") +
              (finding.before_was_write ? "write" : "read") + " by thread " +
              Describe(IndexOf(finding.before.thread));
      if (finding.before.block != finding.now.block) {
        text += " of block number " + std::to_string(finding.before.block);
      }
      text += " at " + DescribeCode(finding.before.code, lines);
    }
    text += "\n";
  }
  findings_.clear();
  return fatal + text;
}

}  // namespace jaxtv::emulator
