#include "experiments/data/missing_data.h"

#include <algorithm>
#include <functional>
#include <set>

#include "core/error.h"
#include "experiments/data/registry.h"
#include "experiments/data/root_advice.h"

namespace winnow {
namespace {

using Paths = std::vector<std::filesystem::path>;

void add(std::vector<std::string>& lines, const std::string& line) {
  if (!line.empty() && std::ranges::find(lines, line) == lines.end()) lines.push_back(line);
}

// `look` at each distinct data set with files; its errors are added to `problems`.
void each_data_set(std::span<const Settings> all, std::vector<std::string>& problems,
                   const std::function<void(const DatasetDef&, const Settings&, const Paths&)>& look) {
  std::set<std::pair<std::string, Paths>> looked_at;
  for (const Settings& data : all) {
    const DatasetDef& def = find_dataset(data.text("name"));
    if (!def.files) continue;
    try {
      const Paths files = def.files(data);
      if (looked_at.emplace(def.name, files).second) look(def, data, files);
    } catch (const Error& error) {
      add(problems, error.what());
    }
  }
}

void find_all(const DatasetDef& def, const Paths& files) {
  for (const std::filesystem::path& file : files) {
    std::error_code problem;
    if (std::filesystem::exists(file, problem)) continue;
    // What exists() takes for an error is not absence: a folder that may not be searched, a disk that does not answer.
    if (problem) fail(ErrorKind::Input, "{}: cannot be looked at: {}", file.string(), problem.message());
    fail(ErrorKind::Input, "{}: no such file; data.root must hold the files of {}{}", file.string(), def.name,
         root_advice(file.parent_path(), file.filename().string()));
  }
}

}  // namespace

std::vector<std::string> missing_data(std::span<const Settings> all) {
  std::vector<std::string> problems;
  each_data_set(all, problems,
                [](const DatasetDef& def, const Settings&, const Paths& files) { find_all(def, files); });
  return problems;
}

DataCheck check_data(std::span<const Settings> all) {
  DataCheck check;
  each_data_set(all, check.problems, [&](const DatasetDef& def, const Settings& data, const Paths& files) {
    find_all(def, files);
    add(check.remarks, def.remark(data));
  });
  return check;
}

}  // namespace winnow
