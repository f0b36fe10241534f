// A sweep file with everything it extends, merged: settings as entries, the other sections as trees.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/sweep/entries.h"
#include "experiments/sweep/stop_reader.h"

namespace winnow {

struct Document {
  std::string name;               // `sweep`, else the file's name without its ending, "sweep" for a pipe
  std::vector<Entry> settings;    // `trial`, `save` (as save.*) and `pair`
  NodePtr axes, exclude;          // lists, or nothing
  std::optional<GivenStop> stop;  // of the last file that has the section
  Place place;                    // of the trial section, for what is missing from it
};

// Reads ("-" is standard input; `text`: what was read of a stream before), follows `extends`, merges, and checks the shape of every section. Error{Input} if the file
// itself cannot be read; everything else goes to `problems`.
Document read_document(const std::filesystem::path& path, const std::optional<std::string>& text,
                       Diagnostics& problems);

}  // namespace winnow
