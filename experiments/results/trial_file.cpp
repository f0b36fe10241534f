#include "experiments/results/trial_file.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "experiments/results/container.h"
#include "experiments/results/digest.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layer_table.h"
#include "experiments/results/layout.h"
#include "experiments/results/summary.h"
#include "winnow_version.h"

namespace winnow {
namespace {

constexpr const char* kSchema = "winnow-trial";
constexpr int kMajor = 1;
constexpr const char* kVersion = "1.0";
constexpr const char* kFormSetting = "save.weights.form";

std::string settings_json(const Settings& settings) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const auto& [key, value] : settings.values()) object[key] = value;
  return object.dump();
}

Settings settings_of(const Hdf5File& file) {
  const auto object = nlohmann::json::parse(file.read_text("/settings/json"), nullptr, false);
  if (!object.is_object()) file.damaged("/settings/json", "is not a JSON object");
  Settings settings;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) file.damaged("/settings/json", "has a value that is not text");
    settings.set(key, value.get<std::string>());
  }
  return settings;
}

void write_summary(Hdf5File& file, const std::map<std::string, double>& summary) {
  file.make_group("/summary");
  set_encoding(file, "/summary", "dict", "0.1.0");
  for (const auto& [name, value] : summary) {
    const std::string path = "/summary/" + name;
    file.write_number(path, value);
    set_encoding(file, path, "numeric-scalar", "0.2.0");
    const auto& fields = summary_fields();
    const auto field = std::ranges::find(fields, name, &SummaryField::name);
    if (field == fields.end()) continue;
    file.set(path, "unit", field->unit);
    file.set(path, "description", field->meaning);
    if (is_measured(name, field->unit)) file.set(path, "measured", std::int32_t{1});
  }
}

void write_weights(Hdf5File& file, const std::string& group, const std::vector<WeightRecord>& weights,
                   const std::string& form, LayerTable* layers) {
  file.make_group(group);
  set_encoding(file, group, "dict", "0.1.0");
  for (const WeightRecord& weight : weights) {
    if (weight.name.empty() || weight.name.find('/') != std::string::npos) {
      fail(ErrorKind::Internal, "weight name '{}' cannot be stored", weight.name);
    }
    const WeightForms forms(weight);
    const WeightForm chosen = forms.choose(form);
    forms.write(file, group + "/" + weight.name, chosen);
    if (layers != nullptr) layers->add(weight, forms, chosen);
  }
}

TrialHeader header_of(const Hdf5File& file) {
  TrialHeader header;
  header.id = file.text("/", "id");
  header.replicate = file.integer("/", "replicate");
  header.name = header.id + "-r" + std::to_string(header.replicate);
  const std::string state = file.text("/", "state");
  if (state == name_of(Outcome::Done)) {
    header.outcome = Outcome::Done;
  } else if (state == name_of(Outcome::Diverged)) {
    header.outcome = Outcome::Diverged;
  } else {
    file.damaged("/@state", fmt::format("has the unknown value '{}'", state));
  }
  header.reason = file.text("/", "reason");
  header.created = file.text("/", "created");
  header.writer = file.text("/", "writer");
  header.content_digest = file.text("/", "content_digest");
  return header;
}

Hdf5File open_trial(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  return open_sealed(bytes, path.string(), kSchema, kMajor);
}

}  // namespace

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::vector<std::byte> encode_trial(const TrialResult& result, const std::string& created) {
  if (result.outcome != Outcome::Done && result.outcome != Outcome::Diverged) {
    fail(ErrorKind::Internal, "trial {} is {}; only finished and diverged trials have a result file",
         result.spec.name(), name_of(result.outcome));
  }
  Hdf5File file = Hdf5File::create();
  set_encoding(file, "/", "dict", "0.1.0");
  file.set("/", "schema", kSchema);
  file.set("/", "schema_version", kVersion);
  file.set("/", "id", result.spec.id);
  file.set("/", "replicate", static_cast<std::int32_t>(result.spec.replicate));
  file.set("/", "state", name_of(result.outcome));
  file.set("/", "reason", result.reason);
  file.set("/", "created", created);
  file.set("/", "writer", "winnow " WINNOW_VERSION);
  write_dictionary(file, "/settings",
                   {{"canonical", result.spec.canonical}, {"json", settings_json(result.spec.settings)}});
  write_summary(file, result.summary);
  file.make_group("/metrics");
  set_encoding(file, "/metrics", "dict", "0.1.0");
  write_table(file, "/metrics/epoch", result.epochs);
  write_table(file, "/metrics/step", result.steps);
  write_table(file, "/events", result.events);

  const std::string form = result.spec.settings.has(kFormSetting) ? result.spec.settings.text(kFormSetting) : "auto";
  LayerTable layers(result.layers);
  write_weights(file, "/weights", result.weights, form, &layers);
  if (!result.start_weights.empty()) write_weights(file, "/weights_start", result.start_weights, form, nullptr);
  write_table(file, "/layers", layers.table());
  write_dictionary(file, "/provenance", result.provenance);
  write_dictionary(file, "/lineage", result.lineage);

  const std::string head =
      fmt::format("{} {} {} {}\n", result.spec.id, result.spec.replicate, name_of(result.outcome), result.reason);
  const std::string body =
      file.digest([&](const std::string& path) { return path == "/provenance" || file.has(path, "measured"); });
  Sha256 sum;
  sum.update(head);
  sum.update(body);
  file.set("/", "content_digest", sum.hex());
  const auto seconds = result.summary.find("seconds.total");
  const nlohmann::ordered_json note = {
      {"schema", kSchema},          {"schema_version", kVersion},
      {"name", result.spec.name()}, {"state", name_of(result.outcome)},
      {"created", created},         {"seconds", seconds == result.summary.end() ? 0.0 : seconds->second}};
  return sealed(file.bytes(), note.dump());
}

Published publish(Files& files, const std::filesystem::path& out, const TrialResult& result) {
  return publish(files, out, result, now_utc());
}

Published publish(Files& files, const std::filesystem::path& out, const TrialResult& result,
                  const std::string& created) {
  const auto path = Layout(out).trial(result.spec.name());
  const bool made = files.write_once(path, encode_trial(result, created));
  if (!made) {
    check_owner(path, read_header(files, path).name);
  }
  forget_failure(files, out, result.spec.name());
  return made ? Published::New : Published::AlreadyThere;
}

TrialHeader read_header(Files& files, const std::filesystem::path& path) {
  return header_of(open_trial(files.read(path), path));
}

TrialNote read_note(Files& files, const std::filesystem::path& path) {
  const auto end = files.read_end(path, kNoteReach);
  const auto json = nlohmann::json::parse(note_of(end.bytes, end.file_size, path.string()), nullptr, false);
  if (!json.is_object() || json.value("schema", "") != kSchema) {
    fail(ErrorKind::Input, "{}: is not a {} file", path.string(), kSchema);
  }
  check_version(json.value("schema_version", ""), kMajor, path.string());
  const std::string state = json.value("state", "");
  return {json.value("name", ""), state == name_of(Outcome::Diverged) ? Outcome::Diverged : Outcome::Done,
          json.value("created", ""), json.value("seconds", 0.0)};
}

void check_owner(const std::filesystem::path& path, const std::string& name) {
  if (path.stem() != name) fail(ErrorKind::Input, "{}: is the result of {}", path.string(), name);
}

TrialResult read_trial(Files& files, const std::filesystem::path& path) { return read_whole_trial(files, path).result; }

ReadTrial read_whole_trial(Files& files, const std::filesystem::path& path) {
  const auto bytes = files.read(path);
  const Hdf5File file = open_trial(bytes, path);
  TrialHeader header = header_of(file);
  TrialResult result;
  result.spec.id = header.id;
  result.spec.replicate = header.replicate;
  result.spec.canonical = file.read_text("/settings/canonical");
  result.spec.settings = settings_of(file);
  result.outcome = header.outcome;
  result.reason = header.reason;
  for (const auto& name : file.children("/summary")) result.summary[name] = file.read_number("/summary/" + name);
  result.epochs = read_table(file, "/metrics/epoch");
  result.steps = read_table(file, "/metrics/step");
  result.events = read_table(file, "/events");
  result.layers = read_table(file, "/layers");
  result.provenance = read_dictionary(file, "/provenance");
  result.lineage = read_dictionary(file, "/lineage");
  return {std::move(header), std::move(result)};
}

TrialResult read_trial(const std::filesystem::path& path) {
  PosixFiles files;
  return read_trial(files, path);
}

std::vector<WeightRecord> load_weights(const std::filesystem::path& path, const std::string& which) {
  PosixFiles files;
  const auto bytes = files.read(path);
  const Hdf5File file = open_trial(bytes, path);
  std::vector<WeightRecord> weights;
  for (const auto& name : file.children("/" + which)) weights.push_back(read_weight(file, "/" + which, name));
  return weights;
}

std::vector<float> load_weight(const std::filesystem::path& path, const std::string& name) {
  PosixFiles files;
  const auto bytes = files.read(path);
  const Hdf5File file = open_trial(bytes, path);
  if (name.find('/') != std::string::npos || !file.has("/weights/" + name)) {
    fail(ErrorKind::Input, "{}: has no weight '{}'; it has {}", path.string(), name,
         fmt::join(file.children("/weights"), ", "));
  }
  return read_weight(file, "/weights", name).values;
}

}  // namespace winnow
