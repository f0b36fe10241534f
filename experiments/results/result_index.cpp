#include "experiments/results/result_index.h"

#include <charconv>
#include <sstream>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"

namespace winnow {
namespace {

constexpr const char* kIndexHeader =
    "# winnow-index 1.0\tname\tsize\tinode\tmodified\tchanged\tstate\tcreated\tseconds";
// A file that changed as late as this before it was looked at may change again without a change of its times.
constexpr std::int64_t kTooYoung = 2'000'000'000;  // ns

}  // namespace

ResultIndex::ResultIndex(Files& files, const std::filesystem::path& out) : files_(files), path_(Layout(out).index()) {
  try {
    if (!files_.exists(path_)) return;
    std::istringstream lines(text_of(files_.read(path_)));
    std::string line, name, state;
    if (!std::getline(lines, line) || line != kIndexHeader) return;
    while (std::getline(lines, line)) {
      std::istringstream fields(line);
      Entry entry;
      Files::Stamp& stamp = entry.stamp;
      if (!(fields >> name >> stamp.size >> stamp.inode >> stamp.modified >> stamp.changed >> state >>
            entry.note.created >> entry.note.seconds)) {
        continue;
      }
      entry.note.name = name;
      entry.note.outcome = state == name_of(Outcome::Diverged) ? Outcome::Diverged : Outcome::Done;
      entries_[name] = std::move(entry);
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
