#include "experiments/results/trial_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <ctime>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/results/container.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/isolated.h"
#include "experiments/results/layer_table.h"
#include "experiments/results/layout.h"
#include "experiments/results/summary.h"
#include "experiments/results/trial_codec.h"
#include "experiments/results/trial_content.h"
#include "experiments/results/trial_record.h"
#include "winnow_version.h"

namespace winnow {
namespace {

constexpr const char* kSchema = "winnow-trial";
constexpr int kMajor = 1;
constexpr const char* kVersion = "1.4";
// Tables take a share of the file; a few KiB that unpack to GiB are no result of a training. Weights may be all zero.
constexpr std::size_t kLeastLargest = std::size_t{64} << 20, kLargestFactor = 64;
constexpr IsolationLimits kForWeights = {.memory = std::size_t{16} << 30, .cpu_seconds = 300, .wall_seconds = 1800};
constexpr const char* kFormSetting = "save.weights.form";

constexpr std::size_t kIdDigits = 20;
constexpr const char* kSettings = "/settings/json";
// What decides no figure: how a trial is called, where its files lay, what is saved. Beside what the machine says of itself,
// so that the digest of two equal trials is the same.
constexpr const char* kCircumstances = "settings";  // in /provenance

// The identity has what a start file holds, and the ids of other trials, in the place of path and labels.
bool is_circumstance(const TrialSpec& spec, std::string_view key) {
  return !in_identity(key) || key == "init.from" ||
         std::ranges::find(spec.needs, key, &TrialNeed::key) != spec.needs.end();
}

std::string settings_json(const TrialSpec& spec, bool circumstances) {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
  for (const auto& [key, value] : spec.settings.values()) {
    if (is_circumstance(spec, key) == circumstances) object[key] = value;
  }
  return object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);  // paths are any bytes
}

Settings settings_of(const Hdf5File& file, const std::string& circumstances) {
  const auto object = nlohmann::json::parse(file.read_text(kSettings), nullptr, false);
  if (!object.is_object()) file.damaged(kSettings, "is not a JSON object");
  Settings settings;
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) file.damaged(kSettings, "has a value that is not text");
    settings.set(key, value.get<std::string>());
  }
  // No digest covers these, so nothing that it does cover is taken from them.
  const auto beside = nlohmann::json::parse(circumstances, nullptr, false);
  if (!beside.is_object()) return settings;
  for (const auto& [key, value] : beside.items()) {
    if (value.is_string() && !settings.has(key)) settings.set(key, value.get<std::string>());
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

Outcome outcome_of(const Hdf5File& file) {
  const std::string state = file.text("/", "state");
  if (const auto outcome = outcome_named(state)) return *outcome;
  file.damaged("/@state", fmt::format("has the unknown value '{}'", state));
}

TrialHeader header_of(const Hdf5File& file) {
  TrialHeader header;
  header.id = file.text("/", "id");
  header.replicate = file.integer("/", "replicate");
  header.name = header.id + "-r" + std::to_string(header.replicate);
  header.outcome = outcome_of(file);
  header.reason = file.text("/", "reason");
  header.created = file.text("/", "created");
  header.writer = file.text("/", "writer");
  header.content_digest = file.text("/", "content_digest");
  return header;
}

constexpr ContainerKind kTrial = {kSchema, kMajor, trial_digest};

Hdf5File open_trial(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  return open_container(bytes, path.string(), kTrial, std::max(kLeastLargest, kLargestFactor * bytes.size()));
}

std::string note_text(const TrialNote& note) {
  const nlohmann::ordered_json json = {{"schema", kSchema},       {"schema_version", kVersion},
                                       {"name", note.name},       {"state", name_of(note.outcome)},
                                       {"created", note.created}, {"seconds", note.seconds}};
  return json.dump();
}

// Takes `expected` from the front of `text`, if it is there.
bool take_word(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

// Up to the next quotation mark, behind which `text` then begins; nothing where a character is or has to be written in
// another way.
std::optional<std::string_view> take_quoted(std::string_view& text) {
  const std::size_t end = text.find('"');
  const std::string_view word = text.substr(0, end);
  const auto is_plain = [](char c) { return c >= ' ' && c <= '~' && c != '\\'; };
  if (end == std::string_view::npos || !std::ranges::all_of(word, is_plain)) return std::nullopt;
  text.remove_prefix(end + 1);
  return word;
}

template <class T>
bool take_json_number(std::string_view& text, T& value) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;  // no "inf"
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  return true;
}

// A note exactly as note_text and note_with_record write it, since a parser of JSON takes a hundred thousand of them no
// faster than the system opens their files; nothing for any other text, which may be a note all the same.
std::optional<TrialNote> plain_note(std::string_view text) {
  TrialNote note;
  int minor = 0;
  std::uint64_t number = 0;
  if (!take_word(text, R"({"schema":"winnow-trial","schema_version":"1.)")) return std::nullopt;
  if (!take_json_number(text, minor) || !take_word(text, R"(","name":")")) return std::nullopt;
  const auto name = take_quoted(text);
  if (!name || !take_word(text, R"(,"state":")")) return std::nullopt;
  const auto state = take_quoted(text);
  if (!state || !take_word(text, R"(,"created":")")) return std::nullopt;
  const auto created = take_quoted(text);
  if (!created || !take_word(text, R"(,"seconds":)") || !take_json_number(text, note.seconds)) return std::nullopt;
  if (take_word(text, R"(,"record":{"version":)")) {
    if (!take_json_number(text, number) || !take_word(text, R"(,"bytes":)")) return std::nullopt;
    if (!take_json_number(text, number) || !take_word(text, R"(,"crc32":)")) return std::nullopt;
    if (!take_json_number(text, number) || !take_word(text, "}")) return std::nullopt;
  }
  if (text != "}") return std::nullopt;
  note.name = *name;
  note.outcome = outcome_named(std::string(*state)).value_or(Outcome::Done);
  note.created = *created;
  return note;
}

TrialNote parsed_note(const std::string& text, const std::string& label) {
  if (auto note = plain_note(text)) return *std::move(note);
  try {
    const auto json = nlohmann::json::parse(text);
    if (json.value("schema", "") != kSchema) fail(ErrorKind::Input, "{}: is not a {} file", label, kSchema);
    check_version(json.value("schema_version", ""), kMajor, label);
    const std::string state = json.value("state", "");
    return {json.value("name", ""), outcome_named(state).value_or(Outcome::Done), json.value("created", ""),
            json.value("seconds", 0.0)};
  } catch (const nlohmann::json::exception&) {
    fail(ErrorKind::Input, "{}: has a note that is none of winnow's", label);
  }
}

// Of a file without a seal: its content is judged.
TrialNote note_from_content(const std::vector<std::byte>& bytes, const std::filesystem::path& path) {
  const auto text = run_isolated(
      path.string(),
      [&] {
        const Hdf5File file = open_container(bytes, path.string(), kTrial);
        const TrialHeader header = header_of(file);
        const double seconds = file.has("/summary/seconds.total") ? file.read_number("/summary/seconds.total") : 0;
        const std::string note = note_text({header.name, header.outcome, header.created, seconds});
        const auto raw = std::as_bytes(std::span(note.data(), note.size()));
        return std::vector<std::byte>(raw.begin(), raw.end());
      },
      kForWeights);
  return parsed_note(text_of(text), path.string());
}

enum class Part { All, Survey };

ReadTrial decoded(const Hdf5File& file, Part part = Part::All) {
  TrialHeader header = header_of(file);
  TrialResult result;
  result.spec.id = header.id;
  result.spec.replicate = header.replicate;
  result.spec.identity = identity_of(file.read_text("/settings/canonical"));
  result.provenance = read_dictionary(file, "/provenance");
  const auto beside = result.provenance.extract(kCircumstances);  // before 1.3 all of them were in one place
  result.spec.settings = settings_of(file, beside ? beside.mapped() : "{}");
  result.outcome = header.outcome;
  result.reason = header.reason;
  for (const auto& name : file.children("/summary")) result.summary[name] = file.read_number("/summary/" + name);
  const TableDetail detail = part == Part::All ? TableDetail::All : TableDetail::Values;
  result.epochs = read_table(file, "/metrics/epoch", detail);
  result.layers = read_table(file, "/layers", detail);
  if (part == Part::All) {
    result.steps = read_table(file, "/metrics/step");
    result.events = read_table(file, "/events");
  }
  result.lineage = read_dictionary(file, "/lineage");
  return {std::move(header), std::move(result)};
}
ReadTrial decoded(std::span<const std::byte> bytes, const std::filesystem::path& path, Part part = Part::All) {
  return decoded(open_trial(bytes, path), part);
}

std::vector<WeightRecord> decoded_weights(std::span<const std::byte> bytes, const std::filesystem::path& path,
                                          const std::string& which) {
  const Hdf5File file = open_container(bytes, path.string(), kTrial);
  std::vector<WeightRecord> weights;
  for (const auto& name : file.children("/" + which)) weights.push_back(read_weight(file, "/" + which, name));
  return weights;
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
  if (result.outcome == Outcome::Failed) {
    fail(ErrorKind::Internal, "trial {} failed; such trials have no result file", result.spec.name());
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
                   {{"canonical", result.spec.canonical()}, {"json", settings_json(result.spec, false)}});
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
  std::map<std::string, std::string> provenance = result.provenance;
  provenance[kCircumstances] = settings_json(result.spec, true);
  write_dictionary(file, "/provenance", provenance);
  write_dictionary(file, "/lineage", result.lineage);

  file.set("/", "content_digest", trial_digest(file));
  const auto seconds = result.summary.find("seconds.total");
  const std::string note =
      note_text({result.spec.name(), result.outcome, created, seconds == result.summary.end() ? 0.0 : seconds->second});
  std::vector<std::byte> image = file.bytes();
  // Of what was written, read back: it says what the HDF5 content says.
  const auto record = encode_record(decoded(Hdf5File::from_bytes(image, result.spec.name()), Part::Survey));
  image.insert(image.end(), record.begin(), record.end());
  return sealed(std::move(image), note_with_record(note, record));
}

Published publish(Files& files, const std::filesystem::path& out, const TrialResult& result) {
  return publish(files, out, result, now_utc());
}

Published publish(Files& files, const std::filesystem::path& out, const TrialResult& result,
                  const std::string& created) {
  const auto path = Layout(out).trial(result.spec.name());
  const bool made = files.write_once(path, encode_trial(result, created));
  if (made) forget_failure(files, out, result.spec.name());
  forget_stopped(files, out, result.spec.name());
  return made ? Published::New : Published::AlreadyThere;
}

void publish_stopped(Files& files, const std::filesystem::path& out, const TrialResult& result) {
  files.replace(Layout(out).stopped(result.spec.name()), std::span<const std::byte>(encode_trial(result, now_utc())),
                {.read_only = true, .synced = true});
  forget_failure(files, out, result.spec.name());
}

void forget_stopped(Files& files, const std::filesystem::path& out, const std::string& name) {
  files.remove(Layout(out).stopped(name));
}

std::vector<std::string> stopped_trials(Files& files, const std::filesystem::path& out) {
  std::vector<std::string> names;
  const Layout layout(out);
  for (const auto& folder : files.list(layout.stopped())) {
    for (const auto& file : files.list(layout.stopped() / folder)) {
      std::string name = file.substr(0, file.rfind('.'));
      if (file.ends_with(".h5") && file.starts_with(folder) && !files.exists(layout.trial(name))) {
        names.push_back(std::move(name));
      }
    }
  }
  std::ranges::sort(names);
  return names;
}

TrialHeader read_header(Files& files, const std::filesystem::path& path) {
  return read_whole_trial(files, path).header;
}

TrialNote read_note(Files& files, const std::filesystem::path& path) {
  constexpr std::size_t kUsualReach = 512;  // of all but notes with very long names
  auto end = files.read_end(path, kUsualReach);
  auto note = note_of(end.bytes, end.file_size);
  if (!note && end.file_size > kUsualReach) {
    end = files.read_end(path, kNoteReach);
    note = note_of(end.bytes, end.file_size);
  }
  return note ? parsed_note(*note, path.string()) : note_from_content(files.read(path), path);
}

TrialNote check_result(Files& files, const std::filesystem::path& path) {
  const auto bytes = files.read(path);
  const Unsealed content = unsealed(bytes);
  if (content.seal == Seal::Broken) {
    fail(ErrorKind::Input, "{}: is damaged (its bytes do not match their check sum)", path.string());
  }
  return content.seal == Seal::Whole ? parsed_note(content.note, path.string()) : note_from_content(bytes, path);
}

void check_owner(const std::filesystem::path& path, const std::string& name) {
  if (path.stem() != name) fail(ErrorKind::Input, "{}: is the result of {}", path.string(), name);
}

TrialResult read_trial(Files& files, const std::filesystem::path& path) { return read_whole_trial(files, path).result; }

ReadTrial read_whole_trial(Files& files, const std::filesystem::path& path) {
  const auto bytes = files.read(path);
  return unpacked<ReadTrial>(run_isolated(path.string(), [&] { return packed(decoded(bytes, path)); }));
}

std::vector<std::byte> record_of_content(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  return encode_record(decoded(bytes, path, Part::Survey));
}

ReadTrial examined_trial(std::span<const std::byte> bytes, const std::filesystem::path& path) {
  const std::string label = path.string();
  const Hdf5File file = open_container(bytes, label, kTrial);
  if (file.text("/", "content_digest") != trial_digest(file)) {
    fail(ErrorKind::Input, "{}: its content does not match its digest", label);
  }
  for (const std::string which : {"/weights", "/weights_start"}) {
    if (!file.has(which)) continue;
    for (const auto& name : file.children(which)) read_weight(file, which, name);
  }
  ReadTrial trial = decoded(file);
  const std::string canonical = trial.result.spec.canonical();
  if (sha256_hex(std::as_bytes(std::span(canonical))).substr(0, kIdDigits) != trial.header.id) {
    fail(ErrorKind::Input, "{}: its settings are not those of the id {}", label, trial.header.id);
  }
  const auto record = record_in(bytes, label);
  if (record && encode_record(*record) != encode_record(trial)) {
    fail(ErrorKind::Input, "{}: its record for surveys says something else than its content", label);
  }
  return trial;
}

std::vector<ContentDifference> trial_differences(Files& files, const std::filesystem::path& first,
                                                 const std::filesystem::path& second, double tolerance) {
  const auto before = files.read(first), after = files.read(second);
  const auto bytes = run_isolated(
      first.string(),
      [&] {
        const Hdf5File one = open_container(before, first.string(), kTrial);
        const Hdf5File other = open_container(after, second.string(), kTrial);
        auto json = nlohmann::json::array();
        for (const ContentDifference& difference : content_differences(one, other, tolerance)) {
          json.push_back(
              {difference.object, difference.what, fmt::format("{}", difference.largest), difference.allowed});
        }
        const auto cbor = nlohmann::json::to_cbor(json);
        const auto raw = std::as_bytes(std::span(cbor));
        return std::vector<std::byte>(raw.begin(), raw.end());
      },
      kForWeights);
  std::vector<ContentDifference> differences;
  const auto* begin = reinterpret_cast<const std::uint8_t*>(bytes.data());
  for (const auto& each : nlohmann::json::from_cbor(begin, begin + bytes.size())) {
    differences.push_back({each.at(0), each.at(1), std::stod(each.at(2).get<std::string>()), each.at(3)});
  }
  return differences;
}

void examine_trials(Files& files, std::span<const std::filesystem::path> paths,
                    const std::function<void(std::size_t, ReadTrial)>& take,
                    const std::function<void(std::size_t, const Error&)>& failed) {
  run_isolated(
      paths.size(),
      {.work =
           [&](std::size_t i) {
             ReadTrial trial = examined_trial(files.read(paths[i]), paths[i]);
             trial.result.epochs = trial.result.steps = trial.result.events = trial.result.layers = {};
             return packed(trial);
           },
       .label = [&](std::size_t i) { return paths[i].string(); },
       .succeeded = [&](std::size_t i, const std::vector<std::byte>& bytes) { take(i, unpacked<ReadTrial>(bytes)); },
       .failed = failed},
      kForWeights);
}

TrialResult read_trial(const std::filesystem::path& path) {
  PosixFiles files;
  return read_trial(files, path);
}

std::vector<WeightRecord> load_weights(const std::filesystem::path& path, const std::string& which) {
  PosixFiles files;
  const auto bytes = files.read(path);
  return unpacked<std::vector<WeightRecord>>(run_isolated(
      path.string(), [&] { return packed(decoded_weights(bytes, path, which)); }, kForWeights));
}

std::vector<std::vector<std::byte>> weights_images(Files& files, std::span<const std::filesystem::path> paths) {
  std::vector<std::vector<std::byte>> images(paths.size());
  run_isolated(paths.size(),
               {.work =
                    [&](std::size_t i) {
                      const auto bytes = files.read(paths[i]);
                      const Hdf5File from = open_container(bytes, paths[i].string(), kTrial);
                      Hdf5File image = Hdf5File::create();
                      image.copy_from(from, "/weights", "/weights");
                      return image.bytes();
                    },
                .label = [&](std::size_t i) { return paths[i].string(); },
                .succeeded = [&](std::size_t i, std::vector<std::byte> image) { images[i] = std::move(image); },
                .failed = [](std::size_t, const Error& error) { throw error; }},
               kForWeights);
  return images;
}

}  // namespace winnow
