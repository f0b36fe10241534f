// journal/<part>.a<attempt>.jnl: what happened while a part of a sweep was run, a file for each time. One line a record: CRC-32 of
// the rest in 8 hex digits, a space, JSON. Only appended to, by one process; what a kill cut short is at its end, and readers
// leave that out. A JournalWriter is used by one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/results/files.h"

namespace winnow {

class JournalWriter {
 public:
  // Makes the next file of `part`; `files` must outlive this.
  JournalWriter(Files& files, const std::filesystem::path& out, const std::string& part);
  struct Folder {
    std::filesystem::path path;
  };
  JournalWriter(Files& files, const Folder& folder, const std::string& part);  // of another kind, elsewhere
  void append(const nlohmann::ordered_json& record);
  void sync();  // what was appended is on disk when the call returns
  int attempt() const { return attempt_; }

 private:
  std::unique_ptr<Files::Growing> file_;
  int attempt_ = 1;
  bool synced_ = true;
};

// Reads what has been added to one since it last looked. Used by one thread.
class JournalReader {
 public:
  explicit JournalReader(std::filesystem::path path) : path_(std::move(path)) {}
  // Begins `reach` bytes before the end, with the first whole line there.
  JournalReader(Files& files, std::filesystem::path path, std::uint64_t reach);
  const std::filesystem::path& path() const { return path_; }
  std::vector<nlohmann::json> more(Files& files);  // without what is damaged, or not all there yet

 private:
  std::filesystem::path path_;
  std::uint64_t read_ = 0;  // bytes
};

struct Journal {
  std::vector<nlohmann::json> records;
  std::vector<std::string> damaged;  // one line for each record that is, but for one cut short at the end
};
Journal read_journal(Files& files, const std::filesystem::path& path);
// The last record of one of these kinds, or of any if none is named; reads no more of the file than that takes.
std::optional<nlohmann::json> last_record(Files& files, const std::filesystem::path& path,
                                          const std::vector<std::string_view>& kinds);

// Their paths, sorted.
std::vector<std::filesystem::path> journals(Files& files, const std::filesystem::path& out);
std::vector<std::filesystem::path> journals_in(Files& files, const std::filesystem::path& folder);

}  // namespace winnow
