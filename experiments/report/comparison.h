// The survey's comparison: the trials of one model, data set and training recipe, one row per
// method, density and other settings that vary, each against the dense baseline of the same group. Plain values.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/report/statistics.h"
#include "experiments/results/survey.h"

namespace winnow {

struct ComparisonRow {
  std::string method,
      settings;         // settings of the row that vary within its group: "alpha=0.3, delta_t=100"
  std::string density;  // nominal where the method has one, else measured
  std::string id;       // of the configuration; its replicates share it
  std::vector<std::int64_t> replicates;
  std::size_t diverged = 0;   // trials of this row that diverged; they are in no mean
  Sample test_acc, best_acc;  // fractions
  std::optional<Sample>
      gap;  // to the dense baseline; of differences by replicate if `paired`, then count is their number
  bool paired = false;
  std::vector<std::int64_t> alone;      // replicates without a dense partner; in no pair
  std::map<std::string, double> means;  // of every other summary value that the row's trials have

  std::string label() const;  // "rigl 0.1 (alpha=0.3)"
};

struct ComparisonGroup {
  std::string title;  // "resnet20 on cifar10, train.lr=0.1"
  std::vector<ComparisonRow> rows;
  std::vector<std::string> notes;  // what a reader must know of all rows
};

// A configuration of which a rule stopped some trials: in no table, since what is left of it was chosen.
struct StoppedConfiguration {
  std::string label, id;                   // "resnet20 on cifar10, rigl 0.1 (alpha=0.3)"
  std::map<double, std::size_t> by_epoch;  // how many stopped there
  std::size_t finished = 0, diverged = 0;
};

struct Comparison {
  // One for each model, data (by their digest, not by their path) and training recipe.
  std::vector<ComparisonGroup> groups;
  std::size_t planned = 0, done = 0;
  std::vector<MissingTrial> diverged;  // state "diverged" with the reason
  std::vector<MissingTrial> missing;
  std::vector<StoppedConfiguration> stopped;
  std::vector<std::string> rules;  // that stopped trials, in words
  std::vector<std::string> only;   // what the trials were chosen by; empty: all
};

// `only`: rules as of `winnow run --only`, which choose the rows. Dense rows are the baseline of those whether or not they
// are chosen. Throws as TrialFilter does.
Comparison compare(const Survey& survey, const std::vector<std::string>& only = {});

}  // namespace winnow
