#include "experiments/run/driver_release.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace winnow {

std::string driver_release(const std::filesystem::path& module) {
  // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 ...", or "... Open Kernel Module for x86_64  580..."
  std::string first;
  std::ifstream file(module);
  std::getline(file, first);  // the next one is of the compiler
  std::istringstream text(first);
  for (std::string word; text >> word;) {
    const auto is_part = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
    if (word.front() != '.' && word.find('.') != std::string::npos && std::ranges::all_of(word, is_part)) return word;
  }
  return "";
}

}  // namespace winnow
