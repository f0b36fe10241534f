#include "experiments/results/journal.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
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

// A line without its end was cut short.
std::vector<std::string_view> whole_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) {
    lines.push_back(text.substr(0, end));
  }
  return lines;
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

std::vector<nlohmann::json> JournalReader::more(Files& files) {
  std::vector<nlohmann::json> records;
  const auto stamp = files.stamp(path_);
  if (!stamp || stamp->size <= read_) return records;
  Files::End end = files.read_end(path_, stamp->size - read_);
  // It may have grown since its size was looked at.
  if (end.file_size - end.bytes.size() > read_) end = files.read_end(path_, end.file_size);
  std::string text = text_of(end.bytes);
  text.erase(0, read_ - (end.file_size - end.bytes.size()));
  for (const std::string_view line : whole_lines(text)) {
    if (auto record = record_in(line)) records.push_back(std::move(*record));
  }
  read_ += text.rfind('\n') + 1;  // nothing is npos, and 0
  return records;
}

Journal read_journal(Files& files, const std::filesystem::path& path) {
  const std::string text = text_of(files.read(path));
  const auto lines = whole_lines(text);
  Journal journal;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (auto record = record_in(lines[i])) {
      journal.records.push_back(std::move(*record));
    } else {  // what a kill cut short has no end of a line
      journal.damaged.push_back(fmt::format("{}:{}: is damaged", path.string(), i + 1));
    }
  }
  return journal;
}

std::optional<nlohmann::json> last_record(Files& files, const std::filesystem::path& path,
                                          const std::vector<std::string_view>& kinds) {
  // Many trials write much between two beats.
  for (std::size_t reach = 64 * 1024;; reach *= 16) {
    const Files::End end = files.read_end(path, reach);
    const std::string text = text_of(end.bytes);
    const auto lines = whole_lines(text);
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
      const auto record = record_in(*line);
      if (!record || !record->contains("kind") || !record->at("kind").is_string()) continue;
      if (kinds.empty() || std::ranges::find(kinds, record->at("kind").get<std::string>()) != kinds.end()) {
        return record;
      }
    }
    if (end.bytes.size() >= end.file_size) return std::nullopt;
  }
}

JournalFollower::JournalFollower(Files& files, std::filesystem::path path, std::uint64_t reach)
    : files_(files), path_(std::move(path)) {
  const auto stamp = files_.stamp(path_);
  if (stamp && stamp->size > reach) read_ = stamp->size - reach;
}

std::vector<nlohmann::json> JournalFollower::more() {
  const auto stamp = files_.stamp(path_);
  if (!stamp || stamp->size <= read_) return {};
  Files::End end;
  // It may grow between two looks, and no line of it is to be missed.
  std::uint64_t begin = read_ + 1;
  for (std::uint64_t size = stamp->size; begin > read_; size = end.file_size) {
    end = files_.read_end(path_, static_cast<std::size_t>(size - read_));
    if (end.file_size < size) return {};  // it is another file now
    begin = end.file_size - end.bytes.size();
  }
  const std::string text = text_of(std::span(end.bytes).subspan(static_cast<std::size_t>(read_ - begin)));
  std::vector<nlohmann::json> records;
  for (const std::string_view line : whole_lines(text)) {
    if (auto record = record_in(line)) records.push_back(std::move(*record));
  }
  read_ += text.rfind('\n') + 1;  // 0 where there is none
  return records;
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
