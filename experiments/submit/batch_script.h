// slurm/array.sbatch.in, filled in for one array. What users and sites write is quoted for who reads it: bash, or sbatch. Pure.
#pragma once

#include <filesystem>
#include <set>
#include <span>
#include <string>

#include "experiments/submit/site.h"

namespace winnow {

struct BatchJob {
  std::string name;
  std::filesystem::path logs;  // as seen from where jobs start
  int offset = 0;
  std::string array;    // "0-31%8"
  std::string launch;   // "srun --mpi=pmix ..."; empty: the command alone
  std::string command;  // quoted for bash already; has "$SHARD" in it
};

// Error{Usage} for a name that sbatch cannot be told.
std::string batch_script(const Site& site, const BatchJob& job);
// How the processes of a job are started; `pmix`: srun connects them. Error{Site} where a job of one process is to be several.
std::string launch_words(const Site& site, bool pmix);
// Variables by which a user's environment would win over the lines of the script.
std::set<std::string> overriding_variables(const Site& site);

}  // namespace winnow
