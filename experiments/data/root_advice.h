// What is in a data folder in place of the files that are looked for there. Opens no file.
#pragma once

#include <filesystem>
#include <string>

namespace winnow {

// "; 'x.tar.gz' is there and must be unpacked: ...", for the end of a message; empty: nothing known.
std::string root_advice(const std::filesystem::path& root);

}  // namespace winnow
