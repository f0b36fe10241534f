#include "distributed/launch.h"

#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace winnow {
namespace {

std::optional<int> number_in(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value == nullptr) continue;
    const std::string_view text(value);
    int number = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), number).ec == std::errc()) return number;
  }
  return std::nullopt;
}

}  // namespace

Launch read_launch() {
  Launch launch;
  const auto rank = number_in({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"});
  const auto size = number_in({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"});
  launch.by_mpi = rank || size;
  launch.rank = rank.value_or(0);
  launch.processes = size.value_or(rank ? 0 : 1);
  // Slurm sets SLURM_PROCID and SLURM_NTASKS in batch scripts too; only a step has a number.
  if (std::getenv("SLURM_STEP_ID") != nullptr && !std::getenv("OMPI_COMM_WORLD_SIZE")) {
    launch.processes = number_in({"SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"}).value_or(launch.processes);
    if (!rank) launch.rank = number_in({"SLURM_PROCID"}).value_or(0);
  }
  return launch;
}

}  // namespace winnow
