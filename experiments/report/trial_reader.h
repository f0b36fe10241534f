// The rows of a survey as the report needs them: what a trial trains (data, model, recipe), what its method is set to,
// and what came out. Plain values.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "experiments/results/survey.h"

namespace winnow {

using Texts = std::map<std::string, std::string>;

struct ReportTrial {
  // Settings that vary in the survey, without names and density: of data, model and training; and the others.
  Texts recipe, rest;
  std::string model, data, method, name, id, state, reason;
  std::string digest;     // of the data that were read; wherever they lay, equal digests are equal data
  std::string start;      // digest of the result that training started from; empty: it started from none
  std::string density;    // as set; empty if the method has no such setting
  std::string device;     // "cpu" or "cuda"
  std::string precision;  // that training computed in; `auto` depends on the processor
  std::string sums;  // whose the sums for batch norms were: "batch norms" or "convolutions" (train.fuse_statistics)
  std::int64_t replicate = 0;
  std::map<std::string, double> summary;
};

std::vector<ReportTrial> read_trials(const Survey& survey);
// All settings of the trial in this row.
Settings settings_in(const Survey& survey, std::size_t row);

// Other settings, method and density, and the id: two versions of a method are two experiments,
// though their settings read alike.
struct RowKey {
  Texts rest;
  std::string method, density, id;
  friend bool operator<(const RowKey& a, const RowKey& b) {
    return std::tie(a.rest, a.method, a.density, a.id) < std::tie(b.rest, b.method, b.density, b.id);
  }
};
// The trials of one table by row.
using Trials = std::vector<const ReportTrial*>;
using TrialRows = std::map<RowKey, Trials>;

double number_of(const std::string& text);  // 0 if it is none

}  // namespace winnow
