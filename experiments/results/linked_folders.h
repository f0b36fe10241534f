// A directory that a stranger made may have a link in the place of a folder for one trial, one start of names or one rule: what
// winnow writes and removes there would be somewhere else. OUT itself, and OUT/trials and the like as a whole, may be links:
// their owner chose another disk. For one thread, before anything is written.
#pragma once

#include <filesystem>

#include "experiments/results/files.h"

namespace winnow {

// Error{Input} that names the first of them.
void refuse_linked_folders(Files& files, const std::filesystem::path& out);

}  // namespace winnow
