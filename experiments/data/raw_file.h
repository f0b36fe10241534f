// Reading whole data files, plain or gzip, with one clear line for whatever is wrong with them; the
// digest of their content; and whether they are the published files. A DataReader belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/data/digest.h"

namespace winnow {

using Bytes = std::vector<std::uint8_t>;

// Path text with $NAME and ${NAME} replaced from the environment. A missing or empty variable is Error{Input}; a '$' without
// a name is Error{Settings}.
std::filesystem::path expand_path(const std::string& text);

// Reads the files of one data set, one after the other.
class DataReader {
 public:
  // `published`: digests of the files' contents (unpacked, in the order of reading) as their authors or
  // widely used loaders give them, SHA-256 or SHA-1 in hex; none: nothing to compare with.
  explicit DataReader(std::vector<std::string> published = {}) : published_(std::move(published)) {}

  // The next file's content, unpacked if it is gzip (of one member or several). More than `most` bytes are
  // refused before memory is taken for them, as is anything but a regular file: a pipe would be waited for.
  // `expected` says in words what should be there ("30730000 bytes"), for the error text. Error{Input}.
  Bytes read(const std::filesystem::path& path, const std::string& expected, std::size_t most);

  std::string digest() { return digest_.hex(); }  // SHA-256 of all that was read, unpacked; ends the reading
  // The files that are not the published ones.
  const std::vector<std::filesystem::path>& changed() const { return changed_; }

 private:
  std::vector<std::string> published_;
  std::size_t next_ = 0;
  std::vector<std::filesystem::path> changed_;
  Sha256 digest_;
};

// Identifies the present content of files without reading them: path, size and time of the last
// change. Files that are missing count as such, so that reading them later reports the problem.
std::string fingerprint(const std::vector<std::filesystem::path>& files);

}  // namespace winnow
