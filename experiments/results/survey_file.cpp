// The survey file: writing and reading.
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/results/container.h"
#include "experiments/results/isolated.h"
#include "experiments/results/json_text.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/survey.h"
#include "experiments/results/trial_codec.h"
#include "experiments/results/trial_file.h"
#include "winnow_version.h"

namespace winnow {
namespace {

// Over everything but the weights, which are links or carry check sums of their own.
std::string survey_digest(const Hdf5File& file) {
  return file.digest([](const std::string& path) { return path == "/weights"; });
}

constexpr IsolationLimits kLimits = {.memory = std::size_t{8} << 30, .cpu_seconds = 300, .wall_seconds = 1800};
constexpr const char* kSurveyVersion = "1.1";
constexpr ContainerKind kSurvey = {"winnow-survey", 1, survey_digest};

Table missing_table(const std::vector<MissingTrial>& missing) {
  std::vector<std::string> names, states, reasons, settings;
  for (const auto& trial : missing) {
    names.push_back(trial.name);
    states.push_back(trial.state);
    reasons.push_back(trial.reason);
    settings.push_back(trial.settings);
  }
  return {{{"name", names}, {"state", states}, {"reason", reasons}, {"settings", settings}}};
}

void link_weights(Hdf5File& file, const std::vector<std::string>& names,
                  const std::vector<std::filesystem::path>& paths, const std::filesystem::path& survey) {
  const auto folder = std::filesystem::absolute(survey).parent_path().lexically_normal();
  // Where the working directory is, the system is asked but once, and not for each of many trials.
  const auto here = std::filesystem::current_path();
  for (std::size_t row = 0; row < names.size(); ++row) {
    const auto path = (here / paths[row]).lexically_normal();
    file.external_link(path.lexically_relative(folder).string(), "/weights", "/weights/" + names[row]);
  }
}

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

// The names of its trials are there once more behind the content, so that the next `collect` need not read all of it.
std::string lines_of(const std::vector<std::string>& names) {
  std::string lines;
  for (const std::string& name : names) lines += name + "\n";
  return lines;
}

std::vector<std::string> names_in(std::string text) {
  std::istringstream lines(std::move(text));
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) names.push_back(std::move(line));
  return names;
}

// Nothing where it has to be read whole, for whatever reason.
std::optional<std::vector<std::string>> listed_names(Files& files, const std::filesystem::path& path) {
  Files::End end = files.read_end(path, kNoteReach);
  const auto note = note_of(end.bytes, end.file_size);
  const auto json = note ? parse_stranger<nlohmann::json>(*note) : nlohmann::json();
  try {
    if (!json.is_object() || json.value("schema", "") != kSurvey.schema) return std::nullopt;
    check_version(json.value("schema_version", ""), kSurvey.major, path.string());
    const auto& place = json.at("names");
    const Appendix list{place.at("bytes").get<std::size_t>(), place.at("crc32").get<std::uint32_t>()};
    if (list.bytes > end.file_size) return std::nullopt;
    if (appendix_reach(*note, list) > end.bytes.size()) end = files.read_end(path, appendix_reach(*note, list));
    const auto bytes = appendix_in(end.bytes, *note, list);
    return bytes ? std::optional(names_in(text_of(*bytes))) : std::nullopt;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Settings) return std::nullopt;  // of another version
    throw;
  }
}

}  // namespace

void write_survey(Files& files, const Survey& survey, const std::filesystem::path& out,
                  const std::filesystem::path& path, SurveyWeights weights) {
  std::vector<std::string> names;
  std::vector<std::filesystem::path> paths;
  for (std::size_t row = 0; row < rows_of(survey.trials); ++row) {
    names.push_back(cell_text(survey.trials, "name", row));
    const bool stopped = cell_text(survey.trials, "state", row) == name_of(Outcome::Stopped);
    paths.push_back(stopped ? Layout(out).stopped(names.back()) : Layout(out).trial(names.back()));
  }
  std::vector<std::vector<std::byte>> images;  // before the file is open, since children make them
  if (weights == SurveyWeights::Pack) images = weights_images(files, paths);
  Hdf5File file = Hdf5File::create(Hdf5File::Storage::Plain);
  set_encoding(file, "/", "dict", "0.1.0");
  file.set("/", "schema", kSurvey.schema);
  file.set("/", "schema_version", kSurveyVersion);
  file.set("/", "writer", "winnow " WINNOW_VERSION);
  file.set("/", "planned", static_cast<std::int64_t>(survey.planned));
  write_table(file, "/trials", survey.trials, true);
  file.make_group("/metrics");
  set_encoding(file, "/metrics", "dict", "0.1.0");
  write_table(file, "/metrics/epoch", survey.epochs, true);
  write_table(file, "/layers", survey.layers, true);
  file.store(Hdf5File::Storage::Filters);  // texts, of which one may be long and a million alike
  write_table(file, "/missing", missing_table(survey.missing));
  file.store(Hdf5File::Storage::Plain);
  write_dictionary(file, "/settings", survey.settings);
  file.make_group("/weights");
  set_encoding(file, "/weights", "dict", "0.1.0");
  if (weights == SurveyWeights::Link) link_weights(file, names, paths, path);
  for (std::size_t row = 0; row < images.size(); ++row) {
    file.copy_from(Hdf5File::from_bytes(images[row], paths[row].string()), "/weights", "/weights/" + names[row]);
    images[row] = {};
  }
  file.set("/", "content_digest", survey_digest(file));
  const std::string list = lines_of(names);
  const auto listed = std::as_bytes(std::span(list));
  const nlohmann::ordered_json note = {{"schema", kSurvey.schema},
                                       {"schema_version", kSurveyVersion},
                                       {"names", {{"bytes", list.size()}, {"crc32", crc32_of(listed)}}}};
  std::vector<std::byte> image = file.bytes(list.size() + kNoteReach);
  image.insert(image.end(), listed.begin(), listed.end());
  files.replace(path, std::span<const std::byte>(sealed(std::move(image), note.dump())),
                {.read_only = true, .synced = true});
}

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

}  // namespace winnow
