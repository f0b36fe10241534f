// Plans of cuDNN in a folder, so that a process need not have them made that an earlier one had: making one takes milliseconds,
// where it is compiled seconds. A file is published under its name in one step, and says what it is of; one that is damaged, or
// of something else, is as none, and is replaced. Nothing here is an error: without files all is made anew. Immutable;
// any thread, and any number of processes on one folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace winnow::cuda::vendor {

class PlanFiles {
 public:
  // Of the folder that $WINNOW_CUDNN_PLANS names; null where it names none.
  static const PlanFiles* of_environment();
  explicit PlanFiles(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // `what`: one line, all that the plan depends on.
  std::optional<std::vector<std::uint8_t>> read(const std::string& what) const;
  void write(const std::string& what, std::span<const std::uint8_t> plan) const noexcept;
  std::filesystem::path path_of(const std::string& what) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace winnow::cuda::vendor
