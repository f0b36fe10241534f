// Reading whole data files, plain or gzip, with one clear line for whatever is wrong with them, and
// the digest of the bytes read. Plain functions and values; a Digest belongs to one thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/results/digest.h"

namespace winnow {

using Bytes = std::vector<std::uint8_t>;

// Path text with $NAME and ${NAME} replaced from the environment. A missing or empty variable is Error{Settings}.
std::filesystem::path expand_path(const std::string& text);

// The file's content, inflated if it is gzip. The bytes as they lie on disk are added to `digest`.
// `expected` says in words what should be there ("30730000 bytes"), for the error text. Error{Input}.
Bytes read_data_file(const std::filesystem::path& path, const std::string& expected, Sha256& digest);

// Identifies the present content of files without reading them: path, size and time of the last
// change. Files that are missing count as such, so that reading them later reports the problem.
std::string fingerprint(const std::vector<std::filesystem::path>& files);

}  // namespace winnow
