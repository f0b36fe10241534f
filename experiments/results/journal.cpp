#include "experiments/results/journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/results/json_text.h"
#include "experiments/results/layout.h"

namespace winnow {
namespace {

constexpr const char* kJournalEnding = ".jnl";
constexpr std::size_t kCrcDigits = 8;

std::string name_of_attempt(const std::string& part, int attempt) {
  return fmt::format("{}.a{:04}{}", part, attempt, kJournalEnding);
}

std::uint32_t crc_of(std::string_view text) { return crc32_of(std::as_bytes(std::span(text.data(), text.size()))); }

// Nothing for a line that is damaged or cut short.
std::optional<nlohmann::json> record_in(std::string_view line) {
  if (line.size() <= kCrcDigits || line[kCrcDigits] != ' ') return std::nullopt;
  std::uint32_t crc = 0;
  const auto read = std::from_chars(line.data(), line.data() + kCrcDigits, crc, 16);
  const std::string_view text = line.substr(kCrcDigits + 1);
  if (read.ec != std::errc() || read.ptr != line.data() + kCrcDigits || crc != crc_of(text)) return std::nullopt;
  auto json = parse_stranger(text);
  if (!json.is_object()) return std::nullopt;
  return json;
}

constexpr std::size_t kMostLine = kMostRecord, kPart = std::size_t{4} << 20;

// Gives the lines behind the first `from` bytes, in parts that memory has room for whatever somebody has put there; returns where
// the last one ends. A line without its end was cut short. What begins with one that nobody writes, of more than kMostLine, is
// not looked at.
std::uint64_t for_each_line(Files& files, const std::filesystem::path& path, std::uint64_t from,
                            const std::function<void(std::string_view line)>& take) {
  std::string text;
  for (std::uint64_t at = from;;) {
    const std::vector<std::byte> part = files.read_part(path, at, kPart);
    at += part.size();
    text += text_of(part);
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (end - begin > kMostLine) return from + begin;
      take(std::string_view(text).substr(begin, end - begin));
    }
    from += begin;
    text.erase(0, begin);
    if (part.size() < kPart || text.size() > kMostLine) return from;
  }
}

}  // namespace

JournalWriter::JournalWriter(Files& files, const std::filesystem::path& out, const std::string& part)
    : JournalWriter(files, Folder{Layout(out).journals()}, part) {}

JournalWriter::JournalWriter(Files& files, const Folder& place, const std::string& part) {
  const std::filesystem::path& folder = place.path;
  const std::vector<std::string> there = files.list(folder);
  while (std::ranges::binary_search(there, name_of_attempt(part, attempt_))) ++attempt_;
  while (!(file_ = files.grow(folder / name_of_attempt(part, attempt_)))) ++attempt_;
}

void JournalWriter::append(const nlohmann::ordered_json& record) {
  const std::string text = record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string line = fmt::format("{:08x} {}\n", crc_of(text), text);
  file_->append(std::as_bytes(std::span(line)));
  synced_ = false;
}

void JournalWriter::sync() {
  if (synced_) return;
  file_->sync();
  synced_ = true;
}

JournalReader::JournalReader(Files& files, std::filesystem::path path, std::uint64_t reach) : path_(std::move(path)) {
  const auto stamp = files.stamp(path_);
  if (stamp && stamp->size > reach) read_ = stamp->size - reach;
}

std::vector<nlohmann::json> JournalReader::more(Files& files) {
  std::vector<nlohmann::json> records;
  const auto stamp = files.stamp(path_);
  if (!stamp || stamp->size <= read_) return records;  // or it is another file now
  read_ = for_each_line(files, path_, read_, [&](std::string_view line) {
    if (auto record = record_in(line)) records.push_back(std::move(*record));
  });
  return records;
}

Journal read_journal(Files& files, const std::filesystem::path& path) {
  Journal journal;
  std::size_t number = 0;
  const std::uint64_t read = for_each_line(files, path, 0, [&](std::string_view line) {
    ++number;
    if (auto record = record_in(line)) {
      journal.records.push_back(std::move(*record));
    } else {  // what a kill cut short has no end of a line
      journal.damaged.push_back(fmt::format("{}:{}: is damaged", path.string(), number));
    }
  });
  if (const auto stamp = files.stamp(path); stamp && stamp->size - std::min(stamp->size, read) > kMostLine) {
    journal.damaged.push_back(fmt::format("{}:{}: is damaged, and so is what is behind it", path.string(), number + 1));
  }
  return journal;
}

std::optional<nlohmann::json> last_record(Files& files, const std::filesystem::path& path,
                                          const std::vector<std::string_view>& kinds) {
  // Many trials write much between two beats, which are a minute apart at most.
  constexpr std::size_t kMostReach = std::size_t{256} << 20;
  for (std::size_t reach = 64 * 1024;; reach *= 16) {
    const Files::End end = files.read_end(path, reach);
    std::string_view text(reinterpret_cast<const char*>(end.bytes.data()), end.bytes.size());
    text = text.substr(0, text.rfind('\n') + 1);  // nothing is npos, and 0
    while (!text.empty()) {
      text.remove_suffix(1);
      const std::size_t begin = text.rfind('\n') + 1;
      const auto record = record_in(text.substr(begin));
      text = text.substr(0, begin);
      if (!record || !record->contains("kind") || !record->at("kind").is_string()) continue;
      if (kinds.empty() || std::ranges::find(kinds, record->at("kind").get<std::string>()) != kinds.end()) {
        return record;
      }
    }
    if (end.bytes.size() >= end.file_size || reach >= kMostReach) return std::nullopt;
  }
}

std::vector<std::filesystem::path> journals(Files& files, const std::filesystem::path& out) {
  return journals_in(files, Layout(out).journals());
}

std::vector<std::filesystem::path> journals_in(Files& files, const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  for (const std::string& name : files.list(folder)) {
    if (name.ends_with(kJournalEnding)) paths.push_back(folder / name);
  }
  return paths;
}

}  // namespace winnow
