// OUT/results.index: what the notes of result files say, so that a run with many finished trials need not read them
// all again. A cache derived from the files: an entry counts only while size, inode and times of its file are those it
// was made from, and the index may be deleted at any time. One line a result, after docs/formats.md. One thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "experiments/results/files.h"
#include "experiments/results/trial_file.h"

namespace winnow {

class ResultIndex {
 public:
  // Whatever is wrong with an index, it is an empty one. `files` must outlive this.
  ResultIndex(Files& files, const std::filesystem::path& out);

  bool has(const std::string& name) const { return entries_.contains(name); }
  // Of a file that was found whole when it had this stamp; nullptr: it has to be read.
  const TrialNote* find(const std::string& name, const Files::Stamp& stamp) const;
  void put(const std::string& name, const Files::Stamp& stamp, TrialNote note);
  // Writes what is new. Failing to is no error: the next run reads more.
  void save();

 private:
  struct Entry {
    Files::Stamp stamp;
    TrialNote note;
  };
  Files& files_;
  std::filesystem::path path_;
  std::map<std::string, Entry> entries_;
  bool changed_ = false;
};

}  // namespace winnow
