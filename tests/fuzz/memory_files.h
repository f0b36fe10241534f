// Files whose contents are given in memory: what a fuzzer makes up never reaches a disk. Header only.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/error.h"
#include "experiments/results/files.h"

namespace winnow::fuzz {

inline std::vector<std::byte> bytes_of(std::span<const std::uint8_t> data) {
  const auto raw = std::as_bytes(data);
  return {raw.begin(), raw.end()};
}

class MemoryFiles final : public PosixFiles {
 public:
  void put(const Path& path, std::vector<std::byte> bytes) { contents_[path] = std::move(bytes); }
  std::vector<std::byte> read(const Path& path) override {
    const auto found = contents_.find(path);
    if (found == contents_.end()) fail(ErrorKind::Input, "{}: no such file", path.string());
    return found->second;
  }
  End read_end(const Path& path, std::size_t count) override {
    const std::vector<std::byte> all = read(path);
    const std::size_t size = std::min(count, all.size());
    return {all.size(), {all.end() - static_cast<std::ptrdiff_t>(size), all.end()}};
  }
  std::vector<std::byte> read_part(const Path& path, std::uint64_t first, std::size_t count) override {
    const std::vector<std::byte> all = read(path);
    const std::size_t begin = static_cast<std::size_t>(std::min<std::uint64_t>(first, all.size()));
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(begin);
    return {from, from + static_cast<std::ptrdiff_t>(std::min(count, all.size() - begin))};
  }
  std::optional<Stamp> stamp(const Path& path) override {
    const auto found = contents_.find(path);
    return found == contents_.end() ? std::nullopt : std::optional(Stamp{.size = found->second.size()});
  }

 protected:
  std::vector<std::string> names(const Path& folder) override {
    std::vector<std::string> found;
    for (const auto& [path, bytes] : contents_) {
      if (path.parent_path() == folder) found.push_back(path.filename().string());
    }
    return found;
  }

 private:
  std::map<Path, std::vector<std::byte>> contents_;
};

// Bytes that somebody made up may be refused in a line, and nothing else.
template <class Work>
void refused_or_done(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    const bool expected = error.kind() == ErrorKind::Input || error.kind() == ErrorKind::Settings;
    if (!expected || std::string_view(error.what()).empty()) __builtin_trap();
  }
}

}  // namespace winnow::fuzz
