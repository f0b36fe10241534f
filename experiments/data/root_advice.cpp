#include "experiments/data/root_advice.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>
#include <vector>

namespace winnow {
namespace {

namespace fs = std::filesystem;

bool is_archive(const std::string& name) {
  return name.ends_with(".tar.gz") || name.ends_with(".tgz") || name.ends_with(".tar");
}

// The forms of CIFAR that are not read: pickles for Python, and what MATLAB loads. Empty: it is none.
std::string other_version(const std::string& name) {
  for (const char* part : {"-batches-py", "cifar-100-python", "cifar-10-python", "batches.meta"}) {
    if (name.find(part) != std::string::npos) return "Python";
  }
  if (name == "data_batch_1") return "Python";
  return name.find("-batches-mat") != std::string::npos || name.find("-matlab") != std::string::npos ? "MATLAB" : "";
}

std::string version_advice(const std::string& name) {
  const std::string version = other_version(name);
  return version.empty()
             ? ""
             : fmt::format("; '{}' is of the version for {}, winnow reads the binary version", name, version);
}

// The nearest folder below `root` that has the file, plain or packed; no deeper than people unpack things.
std::string folder_with(const fs::path& root, const std::string& wanted) {
  constexpr int kDeepest = 3, kMostEntries = 10'000;
  std::vector<fs::path> level{root};
  int looked_at = 0;
  for (int depth = 0; depth < kDeepest; ++depth) {
    std::vector<fs::path> next;
    for (const fs::path& folder : level) {
      std::error_code problem;
      for (fs::directory_iterator entry(folder, problem), end; !problem && entry != end; entry.increment(problem)) {
        if (++looked_at > kMostEntries) return "";
        std::error_code unknown;
        const fs::path& below = entry->path();
        if (!entry->is_directory(unknown)) continue;
        if (fs::is_regular_file(below / wanted, unknown) || fs::is_regular_file(below / (wanted + ".gz"), unknown)) {
          return below.string();
        }
        next.push_back(below);
      }
    }
    level = std::move(next);
  }
  return "";
}

}  // namespace

std::string root_advice(const fs::path& root, const std::string& wanted) {
  std::error_code problem;
  const std::string own_name = (root / "").parent_path().filename().string();
  if (fs::is_regular_file(root, problem)) {
    if (const std::string version = version_advice(own_name); !version.empty()) return version;
    return is_archive(own_name) ? "; data.root is an archive and must be unpacked (tar -xf), and the folder be named"
                                : "; data.root is a file and must be a folder";
  }
  if (const std::string folder = folder_with(root, wanted); !folder.empty()) {
    return fmt::format("; it is in '{}': data.root must name that folder", folder);
  }
  std::string archive;
  for (fs::directory_iterator entry(root, problem), end; !problem && entry != end; entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    if (const std::string version = version_advice(name); !version.empty()) return version;
    if (is_archive(name)) archive = name;
  }
  return archive.empty() ? "" : fmt::format("; '{}' is there and must be unpacked (tar -xf)", archive);
}

}  // namespace winnow
