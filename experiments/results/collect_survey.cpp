// The survey file: writing.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/results/isolated.h"
#include "experiments/results/layout.h"
#include "experiments/results/survey.h"
#include "experiments/results/survey_format.h"
#include "experiments/results/table_in_parts.h"
#include "experiments/results/trial_file.h"
#include "winnow_version.h"

namespace winnow {
namespace {

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

constexpr IsolationLimits kForCopies = {.memory = std::size_t{16} << 30, .cpu_seconds = 600, .wall_seconds = 3600};

// Of what decides over the bytes of a survey.
std::string digest_of_contents(Files& files, const SurveyInputs& inputs, const std::filesystem::path& out,
                               const std::filesystem::path& path, SurveyWeights weights) {
  Sha256 sum;
  sum.update(kSurveyVersion);
  sum.update(WINNOW_VERSION " " WINNOW_GIT_REVISION);
  sum.update(weights == SurveyWeights::Pack ? "pack" : "link");
  const auto folder = std::filesystem::absolute(path).parent_path().lexically_normal();
  const auto results = (std::filesystem::absolute(out) / "trials").lexically_normal();  // "OUT/" is "OUT"
  sum.update(results.lexically_relative(folder).string());
  sum.update(digest_of(files, inputs));
  return sum.hex();
}

// The file is closed between parts, since results without a record are read in child processes meanwhile.
class SurveyWriter {
 public:
  SurveyWriter(Files& files, const std::filesystem::path& path) : files_(files), path_(path), draft_(files, path) {
    Hdf5File file = Hdf5File::create_at(draft_.place().string());
    set_encoding(file, "/", "dict", "0.1.0");
    file.set("/", "schema", kSurvey.schema);
    file.set("/", "schema_version", kSurveyVersion);
    file.set("/", "writer", "winnow " WINNOW_VERSION);
    file.make_group("/metrics");
    set_encoding(file, "/metrics", "dict", "0.1.0");
    file.make_group("/weights");
    set_encoding(file, "/weights", "dict", "0.1.0");
    file.close();
  }

  void write_full(SurveyRows& rows) {
    const bool epochs = TableInParts::is_full(rows.epochs), layers = TableInParts::is_full(rows.layers);
    if (!epochs && !layers) return;
    Hdf5File file = reopened();
    if (epochs) epochs_.write(file, rows.epochs);
    if (layers) layers_.write(file, rows.layers);
    file.close();
  }

  void write_weights(const std::filesystem::path& out, const Survey& survey, SurveyWeights weights) {
    std::vector<std::filesystem::path> paths;
    for (std::size_t row = 0; row < rows_of(survey.trials); ++row) {
      names_.push_back(cell_text(survey.trials, "name", row));
      const bool stopped = cell_text(survey.trials, "state", row) == name_of(Outcome::Stopped);
      paths.push_back(stopped ? Layout(out).stopped(names_.back()) : Layout(out).trial(names_.back()));
    }
    if (weights == SurveyWeights::Pack) return pack_weights(paths);
    Hdf5File file = reopened();
    link_weights(file, names_, paths, path_);
    file.close();
  }

  // `inputs`: the digest of what it was made from.
  void publish(const Survey& survey, const SurveyRows& rows, const std::string& inputs) {
    Hdf5File file = reopened();
    file.set("/", "planned", static_cast<std::int64_t>(survey.planned));
    write_table(file, "/trials", survey.trials, true);
    epochs_.finish(file, rows.epochs);
    layers_.finish(file, rows.layers);
    file.store(Hdf5File::Storage::Filters);  // texts, of which one may be long and a million alike
    write_table(file, "/missing", missing_table(survey.missing));
    file.store(Hdf5File::Storage::Plain);
    write_dictionary(file, "/settings", survey.settings);
    file.set("/", "content_digest", survey_digest(file));
    file.close();
    const std::string list = lines_of(names_);
    const auto listed = std::as_bytes(std::span(list));
    const nlohmann::ordered_json note = {{"schema", kSurvey.schema},
                                         {"schema_version", kSurveyVersion},
                                         {"names", {{"bytes", list.size()}, {"crc32", crc32_of(listed)}}},
                                         {"inputs", inputs}};
    const auto [size, crc] = crc32_of_file(files_, draft_.place());
    draft_.publish(seal_behind(size, crc, {listed.begin(), listed.end()}, note.dump()));
  }

 private:
  Hdf5File reopened() const { return Hdf5File::reopen(draft_.place().string()); }

  // In parts, and made before the file is open, since children make them. Another child writes them: where the disk is full,
  // the library crashes in the middle of a copy.
  void pack_weights(const std::vector<std::filesystem::path>& paths) {
    constexpr std::size_t kPart = 64;
    for (std::size_t first = 0; first < paths.size(); first += kPart) {
      const auto part = std::span(paths).subspan(first, std::min(kPart, paths.size() - first));
      const auto images = weights_images(files_, part);
      const auto copy = [&] {
        Hdf5File file = reopened();
        for (std::size_t i = 0; i < part.size(); ++i) {
          file.copy_from(Hdf5File::from_bytes(images[i], part[i].string()), "/weights",
                         "/weights/" + names_[first + i]);
        }
        file.close();
        return std::vector<std::byte>();
      };
      try {
        run_isolated(draft_.place().string(), copy, kForCopies);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::Input) throw;
        fail(ErrorKind::Io, "{}: the weights cannot be written, as on a full disk ({})", path_.string(), error.what());
      }
    }
  }

  Files& files_;
  std::filesystem::path path_;
  Files::Draft draft_;
  TableInParts epochs_{"/metrics/epoch"}, layers_{"/layers"};
  std::vector<std::string> names_;
};

}  // namespace

Collected collect_survey(Files& files, const std::filesystem::path& out, const std::filesystem::path& path,
                         SurveyWeights weights, const std::function<void(const Survey&)>& accept) {
  const SurveyInputs inputs = survey_inputs(files, out);  // before anything is written into `out`
  const std::string digest = digest_of_contents(files, inputs, out, path, weights);
  if (inputs_of_survey(files, path) == digest) return {false, inputs.names.size(), inputs.status.planned};
  files.clear_leftovers_of(path);  // a draft that was killed is as large as a survey
  SurveyWriter writer(files, path);
  SurveyRows rows;
  rows.added = [&] { writer.write_full(rows); };
  const Survey survey = gather_survey(files, out, inputs, rows);
  accept(survey);
  writer.write_weights(out, survey, weights);
  // What is wrong with a result is said each time, and what a failing disk withheld may be there the next time.
  const bool damaged =
      std::ranges::any_of(survey.missing, [](const MissingTrial& trial) { return trial.state == "damaged"; });
  writer.publish(survey, rows, damaged || !rows.described ? "" : digest);
  return {true, rows_of(survey.trials), survey.planned};
}

}  // namespace winnow
