#include "experiments/results/failure_file.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "experiments/results/json_number.h"
#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"

namespace winnow {
namespace {

FailureRecord read_failure(Files& files, const std::filesystem::path& path) {
  const std::string name = path.stem().string();
  try {
    const auto json = nlohmann::json::parse(read_text(files, path));
    return {name, json.value("reason", ""), json.value("time", ""),
            std::clamp(integer_in(json, "attempts", 1), 1, 1'000'000)};
  } catch (const nlohmann::json::exception&) {
    return {name, "its failure record is damaged", "", 1, true};
  } catch (const Error& error) {
    return {name, error.what(), "", 1};
  }
}

}  // namespace

void record_failure(Files& files, const std::filesystem::path& out, const TrialSpec& spec, const std::string& reason) {
  const auto path = Layout(out).failure(spec.name());
  const int before = files.exists(path) ? read_failure(files, path).attempts : 0;
  std::string line = reason;
  std::replace(line.begin(), line.end(), '\n', ' ');
  const nlohmann::ordered_json json = {{"schema", "winnow-failure"}, {"schema_version", "1.0"},
                                       {"name", spec.name()},        {"reason", line},
                                       {"time", now_utc()},          {"attempts", before + 1}};
  // A reason may quote bytes of a damaged file; they must not make the record unwritable.
  files.replace(path, json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void forget_failure(Files& files, const std::filesystem::path& out, const std::string& name) {
  files.remove(Layout(out).failure(name));
}

std::optional<std::string> failure_reason(Files& files, const std::filesystem::path& out, const std::string& name) {
  const auto path = Layout(out).failure(name);
  if (!files.exists(path)) return std::nullopt;
  return read_failure(files, path).reason;
}

std::vector<FailureRecord> read_failures(Files& files, const std::filesystem::path& out) {
  std::vector<FailureRecord> records;
  const auto folder = Layout(out).failures();
  for (const auto& name : files.list(folder)) {
    if (name.ends_with(".json")) records.push_back(read_failure(files, folder / name));
  }
  return records;
}

}  // namespace winnow
