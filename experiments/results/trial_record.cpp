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

using Views = std::vector<std::string_view>;
// Each name of a record is a column of the survey.
constexpr std::ptrdiff_t kMostTexts = 8192;

Views views_in(StateReader& in, const std::string& key) {
  const Block block = in.get(key);
  if (std::ranges::count(block.bytes, std::byte{0}) > kMostTexts)
    fail(ErrorKind::Input, "'{}' has too many texts", key);
  Views texts;
  for_each_text(block.bytes, [&](std::string_view text) { texts.push_back(text); });
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

std::vector<TrialRecord::Entry> pairs_in(StateReader& in, const std::string& key) {
  const Views texts = views_in(in, key);
  if (texts.size() % 2 != 0) fail(ErrorKind::Input, "'{}' has a name without a value", key);
  std::vector<TrialRecord::Entry> entries;
  entries.reserve(texts.size() / 2);
  for (std::size_t i = 0; i < texts.size(); i += 2) entries.emplace_back(texts[i], texts[i + 1]);
  return entries;
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

// What a column is, its block says.
TrialRecord::Rows rows_in(StateReader& in, const std::string& key) {
  TrialRecord::Rows rows;
  const Views names = views_in(in, key);
  rows.columns.reserve(names.size());
  for (const std::string_view name : names) {
    const std::string place = column_key(key, rows.columns.size());
    const Block block = in.get(place);
    if (block.shape.rank() != 1) {
      fail(ErrorKind::Input, "saved state '{}' is {}, expected is one row", place, block.shape.text());
    }
    const bool numbers = block.type == BlockType::F64 || block.type == BlockType::I64;
    if (!numbers && block.type != BlockType::U8) fail(ErrorKind::Input, "'{}' holds neither numbers nor texts", place);
    std::size_t count = block.bytes.size() / sizeof(double);
    if (!numbers) {
      count = static_cast<std::size_t>(std::ranges::count(block.bytes, std::byte{0}));
      // Else for_each_text would find out when it is too late to read the file in another way.
      if (!block.bytes.empty() && block.bytes.back() != std::byte{0}) {
        fail(ErrorKind::Input, "the last text of '{}' has no end", place);
      }
    }
    if (rows.columns.empty()) rows.count = count;
    if (count != rows.count) fail(ErrorKind::Input, "columns of '{}' have other lengths", key);
    rows.columns.push_back({name, block.type, block.bytes});
  }
  return rows;
}

template <class T>
std::vector<T> values_of(std::span<const std::byte> bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

Table table_of(const TrialRecord::Rows& rows) {
  Table table;
  for (const TrialRecord::Values& values : rows.columns) {
    Column column{std::string(values.name), {}};
    if (values.type == BlockType::F64) {
      column.values = values_of<double>(values.bytes);
    } else if (values.type == BlockType::I64) {
      column.values = values_of<std::int64_t>(values.bytes);
    } else {
      RecordTexts texts;
      for_each_text(values.bytes, [&](std::string_view text) { texts.emplace_back(text); });
      column.values = std::move(texts);
    }
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

TrialRecord view_record(std::vector<std::byte> bytes, std::span<const std::byte> record, const std::string& label) {
  TrialRecord trial;
  trial.bytes = std::move(bytes);  // which does not move what it holds
  BytesBlocks state(record, label);
  const Views texts = views_in(state, "header");
  if (texts.size() != 8) fail(ErrorKind::Input, "{}: has a record that is none of winnow's", label);
  TrialHeader& header = trial.header;
  header.id = texts[0];
  const std::string_view number = texts[1];
  const auto read = std::from_chars(number.data(), number.data() + number.size(), header.replicate);
  if (read.ec != std::errc() || read.ptr != number.data() + number.size()) {
    fail(ErrorKind::Input, "{}: has a record without a replicate", label);
  }
  header.name = fmt::format("{}-r{}", header.id, header.replicate);
  header.outcome = outcome_named(texts[2]).value_or(Outcome::Done);
  header.reason = texts[3];
  header.created = texts[4];
  header.writer = texts[5];
  header.content_digest = texts[6];
  trial.canonical = texts[7];
  trial.settings = pairs_in(state, "settings");
  trial.provenance = pairs_in(state, "provenance");
  trial.lineage = pairs_in(state, "lineage");
  const Views names = views_in(state, "summary");
  const auto values = state.get_list<double>("summary/values");
  if (names.size() != values.size()) fail(ErrorKind::Input, "{}: its summary has other names than values", label);
  trial.summary.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) trial.summary.emplace_back(names[i], values[i]);
  trial.epochs = rows_in(state, "epochs");
  trial.layers = rows_in(state, "layers");
  return trial;
}

ReadTrial decode_record(std::span<const std::byte> bytes, const std::string& label) {
  TrialRecord record = view_record({}, bytes, label);
  ReadTrial trial{std::move(record.header), {}};
  TrialResult& result = trial.result;
  result.spec.id = trial.header.id;
  result.spec.replicate = trial.header.replicate;
  result.spec.identity = identity_of(std::string(record.canonical));
  for (const auto& [key, value] : record.settings) result.spec.settings.set(std::string(key), std::string(value));
  result.outcome = trial.header.outcome;
  result.reason = trial.header.reason;
  for (const auto& [key, value] : record.provenance) result.provenance.insert_or_assign(std::string(key), value);
  for (const auto& [key, value] : record.lineage) result.lineage.insert_or_assign(std::string(key), value);
  for (const auto& [name, value] : record.summary) result.summary.insert_or_assign(std::string(name), value);
  result.epochs = table_of(record.epochs);
  result.layers = table_of(record.layers);
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

std::optional<TrialRecord> read_record(Files& files, const std::filesystem::path& path) {
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
    return view_record(std::move(end.bytes), *record, path.string());
  } catch (const Error&) {  // what is wrong with it shows when the file is read whole
    return std::nullopt;
  }
}

}  // namespace winnow
