// One point of a sweep (TrialSpec) and everything that is known once it has run (TrialResult).
// Plain values: made by experiments/sweep, filled by experiments/run, written by experiments/results.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/encoded.h"
#include "core/init.h"
#include "core/seeds.h"
#include "core/settings.h"
#include "core/shape.h"

namespace winnow {

// A trial that has to be done before another one can be trained.
struct TrialNeed {
  std::string method, role;  // "born_again", "teacher": the setting that names it
  std::string key;           // "method.teacher": that setting's in the sweep file
  std::string trial;         // TrialSpec::name()
  bool operator==(const TrialNeed&) const = default;
};

// Fully resolved: no default is left implicit. `id` = first 20 hex digits of SHA-256 over
// canonical(), the sorted "key=value" lines of `identity`: of the settings those that are read and not
// at their default, without replicate, paths and output options; ranks only where batch norm makes them count.
struct TrialSpec {
  std::string id;
  std::int64_t replicate = 0;
  Settings identity;
  std::string canonical() const;
  Settings settings;  // keys as in the sweep file: "data.name", "model.name", "train.lr",
                      // "method.density", ...
  int ranks = 1;
  std::vector<TrialNeed> needs = {};  // of the same sweep; their ids are part of `identity`
  std::string name() const { return id + "-r" + std::to_string(replicate); }
};

// What trains a trial, and by which ways there: as its processor and its threads, no part of what is trained.
bool is_of_the_device(std::string_view key);
// False for what does not change the mathematics: save.*, what a trial is called, where data lie (`*.root`), what is of the device, and ranks,
// which count only where batch norm sees the rows of one rank (ExpandOptions::depends_on_ranks).
bool in_identity(std::string_view key);
std::string canonical_of(const Settings& identity);
// The identity with this canonical text.
Settings identity_of(const std::string& canonical);

// Stopped: by a rule of the sweep, at a point from which it can go on.
enum class Outcome : std::uint8_t { Done, Diverged, Failed, Stopped };
const char* name_of(Outcome);  // "done", "diverged", "failed", "stopped"
// Of what a file holds: nothing for a trial that failed, which has none, and for other words.
std::optional<Outcome> outcome_named(std::string_view name);

// A table by columns; all columns have the same length.
struct Column {
  std::string name;
  std::variant<std::vector<double>, std::vector<std::int64_t>, std::vector<std::string>> values;
  std::string unit = {}, description = {};
  std::string mode = {};  // "min", "max" or "": which way is better
};
struct Table {
  std::vector<Column> columns;  // the first is the index
};

// One tensor of the trained model, from which the result writer makes the stored form.
struct WeightRecord {
  std::string name;
  Shape shape;
  bool trained = true;                    // false: no entry was ever updated
  bool prunable = false;                  // belongs to the prunable set, so its stored form is chosen by size
  std::vector<float> values;              // row-major, canonical (OIHW, out x in) order
  std::vector<std::uint8_t> keep = {};    // 1 a kept weight; empty: all kept
  std::vector<std::uint8_t> train = {};   // 0: still at its initial value; empty: all trained
  std::optional<SeededInit> seeded = {};  // the initial values can be regenerated from this
  std::optional<Encoded> encoded = {};    // the method's own form of what `keep` keeps; decodes to `values`
  // Of a tensor that lost channels: its extents before, and by dimension the indices that are left; none: all are.
  Shape whole = {};
  std::vector<std::vector<std::int64_t>> left = {};
};

struct TrialResult {
  TrialSpec spec;
  Outcome outcome = Outcome::Done;
  std::string reason;                     // of a divergence or failure, one line; of a stop: the rule
  bool input_unreadable = false;          // the failure is that of a file to read: the run's exit code says so
  std::map<std::string, double> summary;  // names, units and meanings: experiments/results/summary.h
  Table epochs, steps, events, layers;
  std::vector<WeightRecord> weights;
  std::vector<WeightRecord> start_weights;        // only with save.weights.when: both
  std::map<std::string, std::string> provenance;  // build, machine, seeds, data digests, command line, ...
  std::map<std::string, std::string> lineage;     // ids of start file, ticket, teacher
};

}  // namespace winnow
