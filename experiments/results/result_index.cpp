#include "experiments/results/result_index.h"

#include <charconv>
#include <string_view>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"

namespace winnow {
namespace {

constexpr const char* kIndexHeader =
    "# winnow-index 1.0\tname\tsize\tinode\tmodified\tchanged\tstate\tcreated\tseconds";
// A file that changed as late as this before it was looked at may change again without a change of its times.
constexpr std::int64_t kTooYoung = 2'000'000'000;  // ns

// The text up to the next `end`, or all of it; moves behind it.
std::string_view take_index_field(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return part;
}

template <class T>
bool take_index_number(std::string_view& line, T& value) {
  const std::string_view field = take_index_field(line, '\t');
  const auto read = std::from_chars(field.data(), field.data() + field.size(), value);
  return read.ec == std::errc() && read.ptr == field.data() + field.size();
}

}  // namespace

ResultIndex::ResultIndex(Files& files, const std::filesystem::path& out) : files_(files), path_(Layout(out).index()) {
  try {
    if (!files_.exists(path_)) return;
    const std::string text = read_text(files_, path_, kMostTable);
    std::string_view lines = text;
    if (take_index_field(lines, '\n') != kIndexHeader) return;
    while (!lines.empty()) {
      std::string_view line = take_index_field(lines, '\n');
      Entry entry;
      Files::Stamp& stamp = entry.stamp;
      const std::string_view name = take_index_field(line, '\t');
      bool whole = take_index_number(line, stamp.size) && take_index_number(line, stamp.inode) &&
                   take_index_number(line, stamp.modified) && take_index_number(line, stamp.changed);
      const std::string_view state = take_index_field(line, '\t');
      entry.note.created = take_index_field(line, '\t');
      whole = whole && take_index_number(line, entry.note.seconds);
      if (!whole || name.empty() || entry.note.created.empty()) continue;
      entry.note.name = name;
      entry.note.outcome = state == name_of(Outcome::Diverged) ? Outcome::Diverged : Outcome::Done;
      // Lines are sorted by name.
      entries_.insert_or_assign(entries_.end(), entry.note.name, std::move(entry));
    }
  } catch (const Error&) {
    entries_.clear();
  }
}

const TrialNote* ResultIndex::find(const std::string& name, const Files::Stamp& stamp) const {
  const auto found = entries_.find(name);
  return found != entries_.end() && found->second.stamp == stamp ? &found->second.note : nullptr;
}

void ResultIndex::put(const std::string& name, const Files::Stamp& stamp, TrialNote note) {
  if (unix_now() * 1'000'000'000 - stamp.changed < kTooYoung || note.created.empty()) return;
  entries_[name] = {stamp, std::move(note)};
  changed_ = true;
}

void ResultIndex::save() {
  if (!changed_) return;
  std::string text = std::string(kIndexHeader) + "\n";
  for (const auto& [name, entry] : entries_) {
    const Files::Stamp& stamp = entry.stamp;
    text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", name, stamp.size, stamp.inode, stamp.modified,
                        stamp.changed, name_of(entry.note.outcome), entry.note.created, entry.note.seconds);
  }
  try {
    files_.replace(path_, text, {.read_only = false, .synced = false});
    changed_ = false;
  } catch (const Error&) {
  }
}

}  // namespace winnow
