// What is in a data folder, or beside the wanted files, in place of the files that are looked for. Opens no file.
#pragma once

#include <filesystem>
#include <string>

namespace winnow {

// For the end of a message that says that `wanted`, the name of a data file, is not in the folder `root`: "; 'x.tar.gz' is
// there and must be unpacked (tar -xf)". Empty: nothing known.
std::string root_advice(const std::filesystem::path& root, const std::string& wanted);

}  // namespace winnow
