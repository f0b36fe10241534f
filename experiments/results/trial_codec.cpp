#include "experiments/results/trial_codec.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace winnow {
namespace {

using Cbor = nlohmann::json;

template <class T>
Cbor raw_bits(const std::vector<T>& values) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(values.data());
  return Cbor::binary({bytes, bytes + values.size() * sizeof(T)});
}
template <class T>
std::vector<T> from_raw(const Cbor& json) {
  const auto& bytes = json.get_binary();
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

Cbor json_of(const Table& table) {
  Cbor columns = Cbor::array();
  for (const Column& column : table.columns) {
    Cbor values;
    if (const auto* texts = std::get_if<std::vector<std::string>>(&column.values)) values = *texts;
    if (const auto* reals = std::get_if<std::vector<double>>(&column.values)) values = raw_bits(*reals);
    if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&column.values)) values = raw_bits(*integers);
    columns.push_back(
        {column.name, column.values.index(), std::move(values), column.unit, column.description, column.mode});
  }
  return columns;
}
Table table_of(const Cbor& json) {
  Table table;
  for (const Cbor& part : json) {
    Column column{part.at(0), {}, part.at(3), part.at(4), part.at(5)};
    switch (part.at(1).get<std::size_t>()) {
      case 0:
        column.values = from_raw<double>(part.at(2));
        break;
      case 1:
        column.values = from_raw<std::int64_t>(part.at(2));
        break;
      default:
        column.values = part.at(2).get<std::vector<std::string>>();
    }
    table.columns.push_back(std::move(column));
  }
  return table;
}

Cbor summary_json(const std::map<std::string, double>& summary) {
  Cbor json = Cbor::object();
  for (const auto& [name, value] : summary) json[name] = raw_bits(std::vector{value});  // NaN and all bits
  return json;
}

Cbor json_of(const ReadTrial& trial) {
  const TrialHeader& h = trial.header;
  const TrialResult& r = trial.result;
  return {{"header", {h.name, h.id, h.replicate, h.outcome, h.reason, h.created, h.writer, h.content_digest}},
          {"spec", {r.spec.canonical(), r.spec.settings.values()}},
          {"summary", summary_json(r.summary)},
          {"tables", {json_of(r.epochs), json_of(r.steps), json_of(r.events), json_of(r.layers)}},
          {"provenance", r.provenance},
          {"lineage", r.lineage}};
}

void from(const Cbor& json, ReadTrial& trial) {
  const Cbor &h = json.at("header"), &tables = json.at("tables");
  trial.header = {h.at(0), h.at(1), h.at(2), h.at(3).get<Outcome>(), h.at(4), h.at(5), h.at(6), h.at(7)};
  TrialResult& r = trial.result;
  r.spec.id = trial.header.id;
  r.spec.replicate = trial.header.replicate;
  r.spec.identity = identity_of(json.at("spec").at(0));
  for (const auto& [key, value] : json.at("spec").at(1).items()) r.spec.settings.set(key, value.get<std::string>());
  r.outcome = trial.header.outcome;
  r.reason = trial.header.reason;
  for (const auto& [name, value] : json.at("summary").items()) r.summary[name] = from_raw<double>(value).at(0);
  r.epochs = table_of(tables.at(0));
  r.steps = table_of(tables.at(1));
  r.events = table_of(tables.at(2));
  r.layers = table_of(tables.at(3));
  r.provenance = json.at("provenance").get<std::map<std::string, std::string>>();
  r.lineage = json.at("lineage").get<std::map<std::string, std::string>>();
}

Cbor json_of(const std::vector<WeightRecord>& weights) {
  Cbor all = Cbor::array();
  for (const WeightRecord& w : weights) {
    Cbor seeded;
    if (w.seeded) {
      const InitSpec& spec = w.seeded->spec;
      const RngKey& key = w.seeded->key;
      seeded = {spec.kind, raw_bits(std::vector{spec.value}), spec.fan_in, spec.fan_out, key.seed, key.stream,
                key.step};
    }
    all.push_back({w.name, std::vector<std::int64_t>(w.shape.begin(), w.shape.end()), w.trained, w.prunable,
                   raw_bits(w.values), raw_bits(w.keep), raw_bits(w.train), std::move(seeded),
                   std::vector<std::int64_t>(w.whole.begin(), w.whole.end()), w.left});
  }
  return all;
}

void from(const Cbor& json, std::vector<WeightRecord>& weights) {
  for (const Cbor& w : json) {
    WeightRecord record{.name = w.at(0),
                        .shape = Shape(w.at(1).get<std::vector<std::int64_t>>()),
                        .trained = w.at(2),
                        .prunable = w.at(3),
                        .values = from_raw<float>(w.at(4)),
                        .keep = from_raw<std::uint8_t>(w.at(5)),
                        .train = from_raw<std::uint8_t>(w.at(6))};
    if (const Cbor& s = w.at(7); !s.is_null()) {
      record.seeded = SeededInit{{s.at(0).get<InitSpec::Kind>(), from_raw<double>(s.at(1)).at(0), s.at(2), s.at(3)},
                                 {s.at(4), s.at(5), s.at(6)}};
    }
    record.whole = Shape(w.at(8).get<std::vector<std::int64_t>>());
    record.left = w.at(9).get<std::vector<std::vector<std::int64_t>>>();
    weights.push_back(std::move(record));
  }
}

Cbor json_of(const Survey& survey) {
  Cbor missing = Cbor::array();
  for (const MissingTrial& m : survey.missing) missing.push_back({m.name, m.state, m.reason, m.settings});
  return {{"tables", {json_of(survey.trials), json_of(survey.epochs), json_of(survey.layers)}},
          {"settings", survey.settings},
          {"missing", std::move(missing)},
          {"planned", survey.planned}};
}

void from(const Cbor& json, Survey& survey) {
  const Cbor& tables = json.at("tables");
  survey.trials = table_of(tables.at(0));
  survey.epochs = table_of(tables.at(1));
  survey.layers = table_of(tables.at(2));
  survey.settings = json.at("settings").get<std::map<std::string, std::string>>();
  for (const Cbor& m : json.at("missing")) survey.missing.push_back({m.at(0), m.at(1), m.at(2), m.at(3)});
  survey.planned = json.at("planned");
}

template <class T>
std::vector<std::byte> bytes_of(const T& value) {
  const auto cbor = Cbor::to_cbor(json_of(value));
  const auto* first = reinterpret_cast<const std::byte*>(cbor.data());
  return {first, first + cbor.size()};
}

}  // namespace

std::vector<std::byte> packed(const ReadTrial& trial) { return bytes_of(trial); }
std::vector<std::byte> packed(const std::vector<WeightRecord>& weights) { return bytes_of(weights); }
std::vector<std::byte> packed(const Survey& survey) { return bytes_of(survey); }

template <class T>
T unpacked(std::span<const std::byte> bytes) {
  try {
    const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
    T value;
    from(Cbor::from_cbor(first, first + bytes.size()), value);
    return value;
  } catch (const nlohmann::json::exception& error) {
    fail(ErrorKind::Internal, "a child process that read a file answered with what is no answer: {}", error.what());
  }
}

template ReadTrial unpacked(std::span<const std::byte>);
template std::vector<WeightRecord> unpacked(std::span<const std::byte>);
template Survey unpacked(std::span<const std::byte>);

}  // namespace winnow
