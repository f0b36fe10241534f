#include "experiments/results/container.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/results/files.h"

namespace winnow {
namespace {

constexpr std::string_view kMagic = "WINNOWED";
constexpr std::size_t kTrailer = 24;

template <class T>
void append(std::vector<std::byte>& bytes, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) bytes.push_back(static_cast<std::byte>((value >> (8 * i)) & 0xff));
}
template <class T>
T taken(std::span<const std::byte> bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<T>(bytes[i]) << (8 * i));
  return value;
}

struct Trailer {
  bool there = false;  // and its lengths add up to the file
  std::size_t image_size = 0, note_size = 0;
  std::uint32_t crc = 0;
};

Trailer trailer_of(std::span<const std::byte> end, std::uint64_t file_size) {
  Trailer trailer;
  if (end.size() < kTrailer) return trailer;
  const auto last = end.subspan(end.size() - kTrailer);
  trailer.image_size = taken<std::uint64_t>(last.subspan(8, 8));
  trailer.note_size = taken<std::uint32_t>(last.subspan(16, 4));
  trailer.crc = taken<std::uint32_t>(last.subspan(20, 4));
  trailer.there = std::memcmp(last.data(), kMagic.data(), kMagic.size()) == 0 && trailer.image_size < file_size &&
                  trailer.image_size + trailer.note_size + kTrailer == file_size;
  return trailer;
}

void write_categorical(Hdf5File& file, const std::string& path, const std::vector<std::string>& values) {
  std::unordered_map<std::string_view, std::int32_t> numbers;  // in the order in which values come
  std::vector<std::int32_t> codes;
  codes.reserve(values.size());
  for (const std::string& value : values) {
    codes.push_back(numbers.try_emplace(value, static_cast<std::int32_t>(numbers.size())).first->second);
  }
  std::vector<std::pair<std::string, std::int32_t>> sorted(numbers.begin(), numbers.end());
  std::ranges::sort(sorted);
  std::vector<std::string> categories;
  std::vector<std::int32_t> places(sorted.size());
  for (auto& [value, number] : sorted) {
    places[static_cast<std::size_t>(number)] = static_cast<std::int32_t>(categories.size());
    categories.push_back(std::move(value));
  }
  for (std::int32_t& code : codes) code = places[static_cast<std::size_t>(code)];
  file.make_group(path);
  file.write<std::int32_t>(path + "/codes", codes);
  write_categories(file, path, categories);
}

struct ColumnWriter {
  Hdf5File& file;
  const std::string& path;
  bool categorical;
  void operator()(const std::vector<double>& values) const {
    file.write<double>(path, values);
    set_encoding(file, path, "array", "0.2.0");
  }
  void operator()(const std::vector<std::int64_t>& values) const {
    file.write<std::int64_t>(path, values);
    set_encoding(file, path, "array", "0.2.0");
  }
  void operator()(const std::vector<std::string>& values) const {
    if (categorical) return write_categorical(file, path, values);
    file.write_texts(path, values);
    set_encoding(file, path, "string-array", "0.2.0");
  }
};

std::vector<std::string> read_categorical(const Hdf5File& file, const std::string& path) {
  const auto codes = file.read<std::int64_t>(path + "/codes");
  const auto categories = file.read_texts(path + "/categories");
  std::vector<std::string> values(codes.size());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] >= std::ssize(categories)) file.damaged(path, "has a code without a category");
    if (codes[i] >= 0) values[i] = categories[static_cast<std::size_t>(codes[i])];
  }
  return values;
}

}  // namespace

std::vector<std::byte> seal_behind(std::uint64_t size, std::uint32_t crc, std::vector<std::byte> appendix,
                                   const std::string& note) {
  if (note.size() + kTrailer > kNoteReach) fail(ErrorKind::Internal, "the note of a file is too long");
  size += appendix.size();
  const auto raw = std::as_bytes(std::span(note.data(), note.size()));
  appendix.insert(appendix.end(), raw.begin(), raw.end());
  crc = crc32_of(appendix, crc);
  for (const char c : kMagic) appendix.push_back(static_cast<std::byte>(c));
  append(appendix, size);
  append(appendix, static_cast<std::uint32_t>(note.size()));
  append(appendix, crc);
  return appendix;
}

std::vector<std::byte> sealed(std::vector<std::byte> image, const std::string& note) {
  const auto end = seal_behind(image.size(), crc32_of(image), {}, note);
  image.insert(image.end(), end.begin(), end.end());
  return image;
}

FileSum crc32_of_file(Files& files, const std::filesystem::path& path, std::uint64_t size) {
  constexpr std::uint64_t kPart = std::uint64_t{1} << 20;
  FileSum sum;
  while (sum.size < size) {
    const auto part = files.read_part(path, sum.size, static_cast<std::size_t>(std::min(kPart, size - sum.size)));
    if (part.empty()) break;
    sum.crc = crc32_of(part, sum.crc);
    sum.size += part.size();
  }
  return sum;
}

bool seal_holds(Files& files, const std::filesystem::path& path) {
  const Files::End end = files.read_end(path, kTrailer);
  const Trailer trailer = trailer_of(end.bytes, end.file_size);
  return trailer.there && crc32_of_file(files, path, end.file_size - kTrailer).crc == trailer.crc;
}

Unsealed unsealed(std::span<const std::byte> bytes) {
  const Trailer trailer = trailer_of(bytes, bytes.size());
  if (!trailer.there) return {Seal::Absent, bytes, ""};
  const auto body = bytes.first(bytes.size() - kTrailer);
  return {trailer.crc == crc32_of(body) ? Seal::Whole : Seal::Broken, body.first(trailer.image_size),
          text_of(body.subspan(trailer.image_size))};
}

std::optional<std::string> note_of(std::span<const std::byte> end, std::uint64_t file_size) {
  const Trailer trailer = trailer_of(end, file_size);
  if (!trailer.there || trailer.note_size + kTrailer > end.size()) return std::nullopt;
  return text_of(end.subspan(end.size() - kTrailer - trailer.note_size, trailer.note_size));
}

std::size_t appendix_reach(const std::string& note, const Appendix& place) {
  return place.bytes + note.size() + kTrailer;
}

std::optional<std::span<const std::byte>> appendix_in(std::span<const std::byte> end, const std::string& note,
                                                      const Appendix& place) {
  const std::size_t behind = note.size() + kTrailer;
  if (end.size() < behind || end.size() - behind < place.bytes) return std::nullopt;
  const auto bytes = end.subspan(end.size() - behind - place.bytes, place.bytes);
  return crc32_of(bytes) == place.crc ? std::optional(bytes) : std::nullopt;
}

Hdf5File open_container(std::span<const std::byte> bytes, const std::string& label, const ContainerKind& kind,
                        std::size_t largest) {
  const Unsealed content = unsealed(bytes);
  if (content.seal == Seal::Broken) {
    fail(ErrorKind::Input, "{}: is damaged (its bytes do not match their check sum)", label);
  }
  const auto open = [&] {
    try {
      return Hdf5File::from_bytes(content.image, label, largest);
    } catch (const Error&) {
      if (content.seal == Seal::Whole) throw;
      fail(ErrorKind::Input, "{}: is cut short, or is not a {} file", label, kind.schema);
    }
  };
  Hdf5File file = open();
  const std::string found = file.text("/", "schema");
  if (found != kind.schema) {
    fail(ErrorKind::Input, "{}: is a {} file; a {} file is needed here", label, found, kind.schema);
  }
  check_version(file.text("/", "schema_version"), kind.major, label);
  if (content.seal == Seal::Absent) {
    if (!file.has("/", "content_digest")) {
      fail(ErrorKind::Input, "{}: was changed by another program and has no digest to judge its content by", label);
    }
    if (file.text("/", "content_digest") != kind.content_digest(file)) {
      fail(ErrorKind::Input, "{}: was changed by another program: its content does not match its digest", label);
    }
  }
  return file;
}

void check_version(const std::string& version, int major, const std::string& label) {
  int found = 0;
  std::from_chars(version.data(), version.data() + version.size(), found);
  if (found != major) {
    fail(ErrorKind::Settings, "{}: has schema version {}; this winnow reads version {}.x", label, version, major);
  }
}

void set_encoding(Hdf5File& file, const std::string& path, const std::string& type, const std::string& version) {
  file.set(path, "encoding-type", type);
  file.set(path, "encoding-version", version);
}

// A "/" in a name would make a group of its own.
std::string member(std::string name) {
  std::replace(name.begin(), name.end(), '/', '|');
  return name.empty() || name == "." ? "_" : name;
}

void set_column(Hdf5File& file, const std::string& place, const Column& about) {
  if (!about.unit.empty()) file.set(place, "unit", about.unit);
  if (!about.description.empty()) file.set(place, "description", about.description);
  if (!about.mode.empty()) file.set(place, "mode", about.mode);
  if (is_measured(about.name, about.unit)) file.set(place, "measured", std::int32_t{1});
}

void write_categories(Hdf5File& file, const std::string& place, const std::vector<std::string>& categories) {
  set_encoding(file, place, "categorical", "0.2.0");
  file.set_flag(place, "ordered", false);
  set_encoding(file, place + "/codes", "array", "0.2.0");
  file.write_texts(place + "/categories", categories);
  set_encoding(file, place + "/categories", "string-array", "0.2.0");
}

void set_table(Hdf5File& file, const std::string& path, const std::vector<std::string>& columns) {
  set_encoding(file, path, "dataframe", "0.2.0");
  file.set(path, "_index", columns.front());
  file.set(path, "column-order", std::vector<std::string>(columns.begin() + 1, columns.end()));
}

void write_table(Hdf5File& file, const std::string& path, const Table& table, bool categorical) {
  file.make_group(path);
  if (table.columns.empty()) {
    ColumnWriter{file, path + "/index", false}(std::vector<std::int64_t>{});
    return set_table(file, path, {"index"});
  }
  const std::size_t rows = rows_of(table);
  std::vector<std::string> order;
  for (const Column& column : table.columns) {
    const std::string name = member(column.name), place = path + "/" + name;
    if (std::visit([](const auto& values) { return values.size(); }, column.values) != rows) {
      fail(ErrorKind::Internal, "table {}: column {} has another length than {}", path, name, table.columns[0].name);
    }
    const bool index = &column == &table.columns[0];
    std::visit(ColumnWriter{file, place, categorical && !index}, column.values);
    set_column(file, place, column);
    order.push_back(name);
  }
  set_table(file, path, order);
}

Table read_table(const Hdf5File& file, const std::string& path, TableDetail detail) {
  std::vector<std::string> names = {file.text(path, "_index")};
  for (auto& name : file.texts(path, "column-order")) names.push_back(std::move(name));
  Table table;
  for (const auto& name : names) {
    const std::string place = path + "/" + name;
    Column column{name, {}};
    switch (file.type(place)) {
      case Hdf5File::Type::Real:
        column.values = file.read<double>(place);
        break;
      case Hdf5File::Type::Integer:
        column.values = file.read<std::int64_t>(place);
        break;
      case Hdf5File::Type::Text:
        column.values = file.read_texts(place);
        break;
      case Hdf5File::Type::Group:
        column.values = read_categorical(file, place);
        break;
      case Hdf5File::Type::Other:
        file.damaged(place, "has an unknown type");
    }
    if (detail == TableDetail::All) {
      if (file.has(place, "unit")) column.unit = file.text(place, "unit");
      if (file.has(place, "description")) column.description = file.text(place, "description");
      if (file.has(place, "mode")) column.mode = file.text(place, "mode");
    }
    table.columns.push_back(std::move(column));
    const auto length = [](const Column& c) { return std::visit([](const auto& v) { return v.size(); }, c.values); };
    if (length(table.columns.back()) != length(table.columns.front()))
      file.damaged(place, "has another length than its index");
  }
  return table;
}

void write_dictionary(Hdf5File& file, const std::string& path, const std::map<std::string, std::string>& entries) {
  file.make_group(path);
  set_encoding(file, path, "dict", "0.1.0");
  for (const auto& [name, value] : entries) {
    const std::string place = path + "/" + member(name);
    file.write_text(place, value);
    set_encoding(file, place, "string", "0.2.0");
  }
}

std::map<std::string, std::string> read_dictionary(const Hdf5File& file, const std::string& path) {
  std::map<std::string, std::string> entries;
  for (const auto& name : file.children(path)) entries[name] = file.read_text(path + "/" + name);
  return entries;
}

std::size_t rows_of(const Table& table) {
  if (table.columns.empty()) return 0;
  return std::visit([](const auto& values) { return values.size(); }, table.columns[0].values);
}

const Column* find_column(const Table& table, const std::string& name) {
  const auto found = std::find_if(table.columns.begin(), table.columns.end(),
                                  [&](const Column& column) { return column.name == name; });
  return found == table.columns.end() ? nullptr : &*found;
}

bool is_measured(const std::string& name, const std::string& unit) {
  static const std::set<std::string> names = {"ranks", "bytes.sent", "bytes.sent_dense", "memory.peak"};
  return unit == "s" || unit == "1/s" || names.contains(name);
}

}  // namespace winnow
