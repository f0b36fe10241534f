// rungs/<rule>/past/<trial>.<epochs>.up: an empty file for each rung that somebody let a trial past. Functions of what is on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "experiments/results/files.h"

namespace winnow {

struct RungClaim {
  std::string trial;
  std::int64_t rung;  // epochs
};

// `folder`: of a rule.
std::filesystem::path claims_folder(const std::filesystem::path& folder);
std::filesystem::path claim_path(const std::filesystem::path& folder, const RungClaim& claim);
std::vector<RungClaim> claims_in(Files& files, const std::filesystem::path& folder);
// Of these trials, all with a file in stopped/ and sorted: those that were let past a rung, of whatever rule, since that file was written, so
// that they are to be trained, and wait for nothing.
std::set<std::string> let_past_since(Files& files, const std::filesystem::path& out,
                                     std::span<const std::string> stopped);

}  // namespace winnow
