// A sweep: the trials that a file stands for, checked and in a stable order. Made by load_sweep; a value that can be moved.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/catalog.h"
#include "experiments/stop_rule.h"
#include "experiments/trial_table.h"

namespace winnow {

// What one item of `exclude` (or --only) left out; a trial counts for the first rule that matches it.
struct LeftOut {
  std::string rule;   // "exclude[1]", "--only method.name=rigl"
  std::string where;  // "survey.yaml:33", empty for an argument
  std::size_t count = 0;
};

struct Sweep {
  std::string name;
  std::filesystem::path path;
  TrialTable trials;  // distinct; first axis slowest
  std::vector<LeftOut> left_out;
  std::size_t duplicates = 0;                   // points that gave a trial already in the list
  std::size_t replicates = 1;                   // of the configuration with most
  std::size_t configurations = 0;               // distinct ids
  std::optional<StopRule> stop;                 // trials may be stopped by it before their end
  Settings save;                                // `save` with defaults, keys without "save."
  bool smoke = false;                           // results belong into a scratch tree
  std::vector<std::string> notes;               // for the plan, one line each
  std::string text;                             // the file and those it extends, for the archive
  std::map<std::string, std::string> contents;  // by path: what stands for it in identities (PathContent)
};

// Checks that need more than the schema (a reachable density, a model that fits the data, methods
// that can be composed, ranks). The problem's key is shown at its place in the file.
using TrialCheck = std::function<std::optional<SettingProblem>(const TrialSpec&)>;

// What a plan should say of a trial although it is no mistake: the setting, and why ("100ep cannot act: ...").
using TrialRemarks = std::function<std::vector<SettingProblem>(const TrialSpec&)>;

// What stands for the file behind a path in a trial's identity: the same for the same content,
// wherever it lies. Throws Error if the file cannot serve.
using PathContent = std::function<std::string(const std::string& path)>;

// A setting that an option of its own gives.
struct OptionSetting {
  std::string said;     // "--device gpu": what stands in its errors
  std::string setting;  // "train.device=gpu"
};

struct ExpandOptions {
  // "train.epochs=2": replaces the file's value and any axis of that key.
  std::vector<std::string> set = {};
  std::vector<OptionSetting> options = {};  // as `set`; both for one setting are refused
  // "method.name=rigl", "method.density=[0.1, 0.05]": keeps what matches all of them.
  std::vector<std::string> only = {};
  bool smoke = false;  // 2 epochs, a little of the data, one trial per case
  // What data.fraction is in a smoke trial; absent: 0.01.
  std::function<std::string(const TrialSpec&)> smoke_fraction = {};
  TrialCheck check = {};
  TrialRemarks remarks = {};
  // Is the trial another experiment on another number of ranks? Then the number is part of its identity. Absent: never.
  std::function<bool(const TrialSpec&)> depends_on_ranks = {};
  PathContent content = {};  // absent: a path stands for itself
  // What the sweep file holds, where it has been read already (see read_stream); absent: it is read.
  std::optional<std::string> text = {};
};

// `pair` belongs to the sweep file, so the reader of sweep files declares it.
Catalog with_sweep_settings(Catalog catalog);

// The text of a sweep file that can be read but once: "-", which is standard input, or a pipe. Nothing for others. Error{Input}.
std::optional<std::string> read_stream(const std::filesystem::path& path);

// What the file and those it extends hold, without their names; whether it can be understood is not looked at. `text` is what
// was read of a stream before. Error{Input} if the file cannot be read.
std::string text_of_sweep(const std::filesystem::path& path, const std::optional<std::string>& text);

// Error{Input} if the file cannot be read, Error{Usage} for a malformed argument, SweepError with
// every problem of the file.
Sweep load_sweep(const std::filesystem::path& path, const Catalog& catalog, const ExpandOptions& options = {});

}  // namespace winnow
