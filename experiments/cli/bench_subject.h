// What `winnow bench` is about: settings of a trial by section, all of them resolved, and what a step of it does by plan.
// Plain values.
#pragma once

#include <boost/program_options.hpp>
#include <iosfwd>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/passes.h"
#include "core/settings.h"

namespace winnow {

struct BenchSubject {
  Settings data, model, method, train;
};

// --model, --method, --precision, --batch, --device, --set: checked as the settings of a sweep file are, on images made in
// memory, of the first usual size that the model takes. What of --set nobody reads is a line on `err`. Throws as load_sweep
// does, and Error{Usage} for keys that bench does not read.
BenchSubject bench_subject(const boost::program_options::variables_map& given, std::ostream& err);

// `winnow bench --dry`: what a training step would queue and move on a GPU, by the planned program. Needs none.
void print_dry(const BenchSubject& subject, bool by_node, bool json, std::ostream& out);

// With train.fuse_statistics: "statistics of 18 of 19 batch norms come from the convolutions in front of them".
std::string statistics_text(const FusedStatistics& statistics);
nlohmann::ordered_json statistics_json(const FusedStatistics& statistics);

// The same counts, for what is measured.
struct StepPlan {
  double kernels = 0, calls = 0;  // of ours, of libraries
  double flops = 0, bytes = 0;    // bytes: read and written
  struct Sheet {
    std::string gpu;
    double seconds = 0, bandwidth = 0, peak = 0;  // of a step at least; bytes/s; FLOP/s in its precision
  };
  std::vector<Sheet> sheets;  // of this GPU, by its name; empty: its data sheet is not known here
};
StepPlan plan_step(const BenchSubject& subject, const std::string& gpu);

}  // namespace winnow
