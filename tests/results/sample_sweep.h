// A small sweep on disk: dense, two RigL settings, SNIP with a diverged replicate, one failure, one gap.
#pragma once

#include <filesystem>

#include "experiments/results/files.h"

namespace winnow::test {

void write_sample_sweep(Files& files, const std::filesystem::path& out);

}  // namespace winnow::test
