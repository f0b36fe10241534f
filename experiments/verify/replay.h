// `winnow verify --replay`: trains a finished trial once more, by the way of `winnow run` and in a folder of its own, and
// compares what comes out with the result that is there. Every rank of the job calls it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "experiments/results/files.h"
#include "experiments/results/trial_content.h"

namespace winnow {

struct ReplayOrder {
  std::filesystem::path out;
  std::string trial;                     // its name, or the start of it
  std::filesystem::path scratch;         // where a folder is made for it, and removed
  std::optional<double> tolerance = {};  // trained even where the bits need not be the same; of numbers
  std::string command_line;
};

struct Replay {
  std::string trial;
  std::string how;                     // by what the result was trained, in words
  std::vector<std::string> obstacles;  // why the bits need not be the same here
  std::optional<int> code = {};        // of the run, where it was stopped; then nothing else is known
  std::string failure;                 // why there is no second result
  bool same = false;                   // the content digests are equal
  std::vector<ContentDifference> differences;
  std::string seconds;  // of the first and the second training
};

// Complete on rank 0. With obstacles and without a tolerance nothing is trained. Error{Usage} where several trials are
// called so, Error{Input} where none is or a result that it needs is not there, Error{Site} for another number of ranks.
Replay replay_trial(Communicator& world, Files& files, const ReplayOrder& order);

}  // namespace winnow
