// All that can be known of a folder and what is in it, to see that nothing touched it: names, kinds, sizes, inodes, modes, times
// and contents. Header only.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

namespace winnow::test {

inline std::string content_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::string state_of(const std::filesystem::path& path) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) != 0) return "cannot be looked at";
  const auto nanoseconds = [](const timespec& time) { return fmt::format("{}.{:09}", time.tv_sec, time.tv_nsec); };
  std::string text =
      fmt::format("{:o} {} bytes, inode {}, {} names, modified {}, changed {}", about.st_mode, about.st_size,
                  about.st_ino, about.st_nlink, nanoseconds(about.st_mtim), nanoseconds(about.st_ctim));
  if (S_ISLNK(about.st_mode)) text += " -> " + std::filesystem::read_symlink(path).string();
  if (S_ISREG(about.st_mode)) text += "\n" + content_of(path);
  return text;
}

using TreeState = std::map<std::string, std::string>;

inline TreeState tree_state(const std::filesystem::path& root) {
  TreeState states = {{root.string(), state_of(root)}};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    states.emplace(entry.path().string(), state_of(entry.path()));
  }
  return states;
}

// Names what is new, gone or other.
inline testing::AssertionResult is_untouched(const std::filesystem::path& root, const TreeState& before) {
  std::string differences;
  const TreeState now = tree_state(root);
  for (const auto& [path, state] : now) {
    const auto found = before.find(path);
    if (found != before.end() && found->second == state) continue;
    differences += fmt::format("{} {}\n", path, found == before.end() ? "is new" : "is another one");
  }
  for (const auto& [path, state] : before) {
    if (!now.contains(path)) differences += path + " is gone\n";
  }
  return differences.empty() ? testing::AssertionSuccess() : testing::AssertionFailure() << differences;
}

}  // namespace winnow::test
