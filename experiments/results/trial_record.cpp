#include "experiments/results/trial_record.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/state_bytes.h"
#include "experiments/data/digest.h"
#include "experiments/results/container.h"

namespace winnow {
namespace {

using RecordJson = nlohmann::json;

// Another number is another form, which is read by its HDF5 content.
constexpr int kRecordVersion = 1;
constexpr const char* kRecordKey = "record";
// One reading is enough for the records of all but the longest trainings.
constexpr std::size_t kRecordReach = std::size_t{48} << 10;
// Some 25,000 epochs. A longer one may be anything that a stranger claims: such a file is read by its HDF5 content, in a process
// whose memory is limited.
constexpr std::size_t kLongestRecord = std::size_t{4} << 20;

using RecordTexts = std::vector<std::string>;

// Each with a zero behind it; none of ours has one within.
void put_texts(StateWriter& out, const std::string& key, const RecordTexts& texts) {
  std::string all;
  for (const std::string& text : texts) all.append(text.c_str()).push_back('\0');
  out.put_text(key, all);
}

RecordTexts get_texts(StateReader& in, const std::string& key) {
  const std::string all = in.get_text(key);
  RecordTexts texts;
  std::size_t at = 0;
  for (std::size_t end; (end = all.find('\0', at)) != std::string::npos; at = end + 1) {
    texts.emplace_back(all, at, end - at);
  }
  if (at != all.size()) fail(ErrorKind::Input, "the texts of '{}' have no end", key);
  return texts;
}

template <class Entries>
RecordTexts pairs_of(const Entries& entries) {
  RecordTexts texts;
  for (const auto& [name, value] : entries) {
    texts.push_back(name);
    texts.push_back(value);
  }
  return texts;
}

void get_pairs(StateReader& in, const std::string& key, const auto& take) {
  RecordTexts texts = get_texts(in, key);
  if (texts.size() % 2 != 0) fail(ErrorKind::Input, "'{}' has a name without a value", key);
  for (std::size_t i = 0; i < texts.size(); i += 2) take(std::move(texts[i]), std::move(texts[i + 1]));
}

std::string column_key(const std::string& table, std::size_t number) { return fmt::format("{}/{}", table, number); }

void put_table(StateWriter& out, const std::string& key, const Table& table) {
  RecordTexts names;
  for (const Column& column : table.columns) {
    const std::string place = column_key(key, names.size());
    names.push_back(column.name);
    if (const auto* texts = std::get_if<RecordTexts>(&column.values)) put_texts(out, place, *texts);
    if (const auto* reals = std::get_if<std::vector<double>>(&column.values)) out.put_values(place, std::span(*reals));
    if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values))
      out.put_values(place, std::span(*whole));
  }
  put_texts(out, key, names);
}

template <class T>
std::vector<T> values_in(const Block& block, const std::string& key) {
  if (block.shape.rank() != 1)
    fail(ErrorKind::Input, "saved state '{}' is {}, expected is one row", key, block.shape.text());
  std::vector<T> values(block.bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), block.bytes.data(), values.size() * sizeof(T));
  return values;
}

// What a column is, its block says.
Table get_table(StateReader& in, const std::string& key) {
  Table table;
  std::size_t rows = 0;
  RecordTexts names = get_texts(in, key);
  table.columns.reserve(names.size());
  for (std::string& name : names) {
    const std::string place = column_key(key, table.columns.size());
    Column column{std::move(name), {}};
    const Block block = in.get(place);
    switch (block.type) {
      case BlockType::F64:
        column.values = values_in<double>(block, place);
        break;
      case BlockType::I64:
        column.values = values_in<std::int64_t>(block, place);
        break;
      default:
        column.values = get_texts(in, place);
    }
    const std::size_t length = std::visit([](const auto& values) { return values.size(); }, column.values);
    if (table.columns.empty()) rows = length;
    if (length != rows) fail(ErrorKind::Input, "columns of '{}' have other lengths", key);
    table.columns.push_back(std::move(column));
  }
  return table;
}

}  // namespace

bool is_in_survey(std::string_view provenance) { return !provenance.starts_with("env.") && provenance != "sweep.text"; }

std::vector<std::byte> encode_record(const ReadTrial& trial) {
  const TrialHeader& header = trial.header;
  const TrialResult& result = trial.result;
  BytesWriter out;
  put_texts(out, "header",
            {header.id, std::to_string(header.replicate), name_of(header.outcome), header.reason, header.created,
             header.writer, header.content_digest, result.spec.canonical()});
  put_texts(out, "settings", pairs_of(result.spec.settings.values()));
  std::map<std::string, std::string> provenance = result.provenance;
  std::erase_if(provenance, [](const auto& entry) { return !is_in_survey(entry.first); });
  put_texts(out, "provenance", pairs_of(provenance));
  put_texts(out, "lineage", pairs_of(result.lineage));
  RecordTexts names;
  std::vector<double> values;
  for (const auto& [name, value] : result.summary) {
    names.push_back(name);
    values.push_back(value);
  }
  put_texts(out, "summary", names);
  out.put_values("summary/values", std::span<const double>(values));
  put_table(out, "epochs", result.epochs);
  put_table(out, "layers", result.layers);
  return out.take();
}

ReadTrial decode_record(std::span<const std::byte> bytes, const std::string& label) {
  BytesBlocks state(bytes, label);
  ReadTrial trial;
  TrialHeader& header = trial.header;
  TrialResult& result = trial.result;
  RecordTexts texts = get_texts(state, "header");
  if (texts.size() != 8) fail(ErrorKind::Input, "{}: has a record that is none of winnow's", label);
  header.id = std::move(texts[0]);
  const std::string& number = texts[1];
  const auto read = std::from_chars(number.data(), number.data() + number.size(), header.replicate);
  if (read.ec != std::errc() || read.ptr != number.data() + number.size()) {
    fail(ErrorKind::Input, "{}: has a record without a replicate", label);
  }
  header.name = fmt::format("{}-r{}", header.id, header.replicate);
  header.outcome = outcome_named(texts[2]).value_or(Outcome::Done);
  header.reason = std::move(texts[3]);
  header.created = std::move(texts[4]);
  header.writer = std::move(texts[5]);
  header.content_digest = std::move(texts[6]);
  result.spec.id = header.id;
  result.spec.replicate = header.replicate;
  result.spec.identity = identity_of(texts[7]);
  get_pairs(state, "settings",
            [&](const std::string& key, std::string value) { result.spec.settings.set(key, std::move(value)); });
  result.outcome = header.outcome;
  result.reason = header.reason;
  // They come in their order.
  get_pairs(state, "provenance", [&](std::string key, std::string value) {
    result.provenance.insert_or_assign(result.provenance.end(), std::move(key), std::move(value));
  });
  get_pairs(state, "lineage", [&](std::string key, std::string value) {
    result.lineage.insert_or_assign(result.lineage.end(), std::move(key), std::move(value));
  });
  const RecordTexts names = get_texts(state, "summary");
  const auto values = state.get_list<double>("summary/values");
  if (names.size() != values.size()) fail(ErrorKind::Input, "{}: its summary has other names than values", label);
  for (std::size_t i = 0; i < values.size(); ++i)
    result.summary.insert_or_assign(result.summary.end(), names[i], values[i]);
  result.epochs = get_table(state, "epochs");
  result.layers = get_table(state, "layers");
  return trial;
}

std::string note_with_record(const std::string& note, std::span<const std::byte> record) {
  auto json = nlohmann::ordered_json::parse(note);
  json[kRecordKey] = {{"version", kRecordVersion}, {"bytes", record.size()}, {"crc32", crc32_of(record)}};
  return json.dump();
}

std::optional<Appendix> record_place(const std::string& note) {
  const auto json = RecordJson::parse(note, nullptr, false);
  if (!json.is_object() || !json.contains(kRecordKey)) return std::nullopt;
  const RecordJson& place = json.at(kRecordKey);
  const auto number = [&](const char* key) {
    const auto found = place.is_object() ? place.find(key) : place.end();
    return found != place.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
  };
  if (number("version") != kRecordVersion) return std::nullopt;
  return Appendix{number("bytes"), static_cast<std::uint32_t>(number("crc32"))};
}

std::optional<ReadTrial> record_in(std::span<const std::byte> file, const std::string& label) {
  const Unsealed content = unsealed(file);
  const auto place = content.seal == Seal::Absent ? std::nullopt : record_place(content.note);
  if (!place) return std::nullopt;
  const auto record = appendix_in(file, content.note, *place);
  if (!record) fail(ErrorKind::Input, "{}: its record does not match its check sum", label);
  return decode_record(*record, label);
}

std::optional<ReadTrial> read_record(Files& files, const std::filesystem::path& path) {
  Files::End end = files.read_end(path, kRecordReach);
  const auto note = note_of(end.bytes, end.file_size);
  const auto place = note ? record_place(*note) : std::nullopt;
  if (!place || place->bytes > std::min<std::uint64_t>(end.file_size, kLongestRecord)) return std::nullopt;
  if (const std::size_t needed = appendix_reach(*note, *place); needed > end.bytes.size()) {
    end = files.read_end(path, needed);
  }
  const auto record = appendix_in(end.bytes, *note, *place);
  if (!record) return std::nullopt;
  try {
    return decode_record(*record, path.string());
  } catch (const Error&) {  // what is wrong with it shows when the file is read whole
    return std::nullopt;
  }
}

}  // namespace winnow
