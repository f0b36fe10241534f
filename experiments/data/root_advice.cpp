#include "experiments/data/root_advice.h"

#include <fmt/format.h>

#include <system_error>

namespace winnow {
namespace {

namespace fs = std::filesystem;

bool is_archive(const std::string& name) {
  return name.ends_with(".tar.gz") || name.ends_with(".tgz") || name.ends_with(".tar");
}

// The folders and files of CIFAR for Python, which are pickles and not read.
bool is_for_python(const std::string& name) {
  return name == "cifar-10-batches-py" || name == "cifar-100-python" || name == "data_batch_1" ||
         name == "batches.meta";
}

}  // namespace

std::string root_advice(const fs::path& root) {
  std::error_code problem;
  if (fs::is_regular_file(root, problem)) {
    return is_archive(root.filename().string())
               ? "; data.root is an archive and must be unpacked (tar -xf), and the folder be named"
               : "; data.root is a file and must be a folder";
  }
  std::string archive;
  for (fs::directory_iterator entry(root, problem), end; !problem && entry != end; entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    if (is_for_python(name)) {
      return fmt::format("; '{}' is of the version for Python, winnow reads the binary version", name);
    }
    if (is_archive(name)) archive = name;
  }
  return archive.empty() ? "" : fmt::format("; '{}' is there and must be unpacked (tar -xf)", archive);
}

}  // namespace winnow
