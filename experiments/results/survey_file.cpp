// The survey file: reading.
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "experiments/results/isolated.h"
#include "experiments/results/json_text.h"
#include "experiments/results/status.h"
#include "experiments/results/survey.h"
#include "experiments/results/survey_format.h"
#include "experiments/results/trial_codec.h"

namespace winnow {
namespace {

constexpr IsolationLimits kLimits = {.memory = std::size_t{8} << 30, .cpu_seconds = 300, .wall_seconds = 1800};

Survey decoded(std::span<const std::byte> bytes, const std::string& label) {
  const Hdf5File file = open_container(bytes, label, kSurvey);
  Survey survey;
  survey.trials = read_table(file, "/trials");
  survey.epochs = read_table(file, "/metrics/epoch");
  survey.layers = read_table(file, "/layers");
  survey.settings = read_dictionary(file, "/settings");
  survey.planned = static_cast<std::size_t>(file.integer("/", "planned"));
  const Table missing = read_table(file, "/missing");
  for (std::size_t row = 0; row < rows_of(missing); ++row) {
    survey.missing.push_back({cell_text(missing, "name", row), cell_text(missing, "state", row),
                              cell_text(missing, "reason", row), cell_text(missing, "settings", row)});
  }
  return survey;
}

std::vector<std::string> names_in(std::string text) {
  std::istringstream lines(std::move(text));
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) names.push_back(std::move(line));
  return names;
}

struct SurveyEnd {
  Files::End end;
  std::string note;
  nlohmann::json json;  // the note
};

// Nothing where it is none of a survey that this winnow can read.
std::optional<SurveyEnd> survey_end(Files& files, const std::filesystem::path& path) {
  Files::End end = files.read_end(path, kNoteReach);
  auto note = note_of(end.bytes, end.file_size);
  auto json = note ? parse_stranger<nlohmann::json>(*note) : nlohmann::json();
  try {
    if (!json.is_object() || json.value("schema", "") != kSurvey.schema) return std::nullopt;
    check_version(json.value("schema_version", ""), kSurvey.major, path.string());
    return SurveyEnd{std::move(end), std::move(*note), std::move(json)};
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Settings) return std::nullopt;  // of another version
    throw;
  }
}

// Nothing where it has to be read whole, for whatever reason.
std::optional<std::vector<std::string>> listed_names(Files& files, const std::filesystem::path& path) {
  auto survey = survey_end(files, path);
  if (!survey) return std::nullopt;
  auto& [end, note, json] = *survey;
  try {
    const auto& place = json.at("names");
    const Appendix list{place.at("bytes").get<std::size_t>(), place.at("crc32").get<std::uint32_t>()};
    if (list.bytes > end.file_size) return std::nullopt;
    if (appendix_reach(note, list) > end.bytes.size()) end = files.read_end(path, appendix_reach(note, list));
    const auto bytes = appendix_in(end.bytes, note, list);
    return bytes ? std::optional(names_in(text_of(*bytes))) : std::nullopt;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace

Survey read_survey(Files& files, const std::filesystem::path& path) {
  const auto bytes = files.read(path);
  return unpacked<Survey>(run_isolated(
      path.string(), [&] { return packed(decoded(bytes, path.string())); }, kLimits));
}

std::optional<std::vector<std::string>> trials_in_survey(Files& files, const std::filesystem::path& path) {
  if (files.is_folder(path)) return std::nullopt;
  if (auto names = listed_names(files, path)) return names;
  const auto bytes = files.read(path);
  try {
    const auto names = run_isolated(
        path.string(),
        [&] {
          // A survey of an older winnow that another program opened has nothing to judge it by, and is still one.
          const Hdf5File file = Hdf5File::from_bytes(unsealed(bytes).image, path.string());
          if (file.text("/", "schema") != kSurvey.schema) file.damaged("/", "is of another kind");
          check_version(file.text("/", "schema_version"), kSurvey.major, path.string());
          const std::string lines = lines_of(file.read_texts("/trials/name"));
          const auto raw = std::as_bytes(std::span(lines.data(), lines.size()));
          return std::vector<std::byte>(raw.begin(), raw.end());
        },
        kLimits);
    return names_in(text_of(names));
  } catch (const Error& error) {
    if (!is_unreadable(error)) throw;
    return std::nullopt;
  }
}

std::optional<std::string> inputs_of_survey(Files& files, const std::filesystem::path& path) {
  if (!files.exists(path) || files.is_folder(path)) return std::nullopt;
  const auto survey = survey_end(files, path);
  if (!survey) return std::nullopt;
  const auto inputs = survey->json.find("inputs");
  if (inputs == survey->json.end() || !inputs->is_string()) return std::nullopt;
  return seal_holds(files, path) ? std::optional(inputs->get<std::string>()) : std::nullopt;
}

}  // namespace winnow
