// `winnow show`: one trial of an output directory: its settings, what became of it, and each run that had it in work.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/error.h"
#include "experiments/cli/chosen_trials.h"
#include "experiments/cli/json_output.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/journal.h"
#include "experiments/results/json_text.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "experiments/text.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using ShownJson = nlohmann::ordered_json;

// Of a record that anybody may have written; empty where it has no such text.
std::string shown_text(const auto& record, const char* key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_string() ? found->template get<std::string>() : "";
}

// Looks in one output directory; changes nothing.
class TrialFinder {
 public:
  TrialFinder(Files& files, fs::path out) : files_(files), layout_(std::move(out)) {
    check_output_directory(files_, layout_.root());
  }

  std::string name_of_trial(const std::string& start) {
    plan_ = read_plan(files_, layout_.root());
    return find_trial_name(files_, layout_.root(), plan_, start);
  }

  ShownJson show(const std::string& name) {
    ShownJson shown = {{"schema", "winnow-show"}, {"schema_version", "1.0"}, {"name", name}};
    find_state(name, shown);
    shown["settings"] = settings(name);
    shown["crashes"] = crashes(name);
    shown["history"] = history(name);
    shown["files"] = files_of(name);
    return shown;
  }

 private:
  void find_state(const std::string& name, ShownJson& shown) {
    shown["state"] = "missing";
    shown["reason"] = nullptr;
    if (files_.exists(layout_.trial(name))) return find_outcome(layout_.trial(name), shown);
    if (const auto running = read_running(files_, layout_.root(), name, unix_now())) {
      shown["state"] = running->stale ? "stopped without a word" : "running";
      shown["host"] = running->host;
      shown["step"] = running->progress.step;
      shown["steps"] = running->progress.steps;
    } else if (const auto reason = failure_reason(files_, layout_.root(), name)) {
      shown["state"] = "failed";
      shown["reason"] = *reason;
    } else if (const auto path = layout_.stopped(name); files_.exists(path)) {
      find_outcome(path, shown);
    }
    const auto step = CheckpointFolder(files_, layout_.root(), name).newest_step();
    shown["saved_step"] = step ? ShownJson(*step) : ShownJson();
  }

  void find_outcome(const fs::path& path, ShownJson& shown) {
    try {
      const TrialHeader header = read_header(files_, path);
      check_owner(path, header.name);
      shown["state"] = name_of(header.outcome);
      if (!header.reason.empty()) shown["reason"] = header.reason;
      shown["created"] = header.created;
      shown["seconds"] = read_note(files_, path).seconds;
    } catch (const Error& error) {
      if (!is_unreadable(error)) throw;
      shown["state"] = "damaged";
      shown["reason"] = error.what();
    }
  }

  // Those at their default are in the result alone.
  ShownJson settings(const std::string& name) {
    const auto planned = std::ranges::find(plan_, name, &PlannedTrial::name);
    if (planned != plan_.end()) return settings_of_plan(planned->canonical).values();
    const auto path = files_.exists(layout_.trial(name)) ? layout_.trial(name) : layout_.stopped(name);
    try {
      return read_trial(files_, path).spec.settings.values();
    } catch (const Error& error) {
      if (!is_unreadable(error)) throw;
      return ShownJson::object();
    }
  }

  ShownJson crashes(const std::string& name) {
    ShownJson notes = ShownJson::array();
    for (const std::string& file : files_.list(layout_.checkpoints(name))) {
      if (!file.ends_with(".crash")) continue;
      auto note = parse_stranger<ShownJson>(read_text(files_, layout_.checkpoints(name) / file));
      if (note.is_object()) notes.push_back(std::move(note));
    }
    return notes;
  }

  // What the journals say of the trial, run by run; of its epochs the last of each run.
  ShownJson history(const std::string& name) {
    ShownJson runs = ShownJson::array();
    for (const fs::path& path : journals(files_, layout_.root())) {
      ShownJson run = {{"journal", path.filename().string()}}, records = ShownJson::array();
      for (const nlohmann::json& record : read_journal(files_, path).records) {
        const std::string kind = shown_text(record, "kind");
        if (kind == "attempt") run["host"] = shown_text(record, "host");
        if (shown_text(record, "trial") != name) continue;
        if (!records.empty() && kind == "epoch" && shown_text(records.back(), "kind") == "epoch")
          records.erase(records.size() - 1);
        ShownJson kept = record;
        kept.erase("trial");
        records.push_back(std::move(kept));
      }
      if (records.empty()) continue;
      run["records"] = std::move(records);
      runs.push_back(std::move(run));
    }
    return runs;
  }

  ShownJson files_of(const std::string& name) {
    ShownJson found = ShownJson::array();
    const auto add = [&](const fs::path& path) {
      const auto stamp = files_.stamp(path);
      if (stamp && !stamp->is_folder) {
        found.push_back({{"path", path.lexically_relative(layout_.root()).generic_string()}, {"bytes", stamp->size}});
      }
    };
    for (const fs::path& path :
         {layout_.trial(name), layout_.stopped(name), layout_.failure(name), layout_.progress(name)}) {
      add(path);
    }
    for (const std::string& file : files_.list(layout_.checkpoints(name))) add(layout_.checkpoints(name) / file);
    return found;
  }

  Files& files_;
  Layout layout_;
  std::vector<PlannedTrial> plan_;
};

// "epoch 3, loss 0.41": what a record has besides its kind and time.
std::string record_text(const ShownJson& record) {
  std::string text = shown_text(record, "kind");
  for (const auto& [key, value] : record.items()) {
    if (key == "kind" || key == "time") continue;
    text += fmt::format(", {} {}", key, value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text;
}

void print_shown(std::ostream& out, const ShownJson& shown) {
  const auto word = [&](const char* key) { return shown.at(key).is_string() ? shown.at(key).get<std::string>() : ""; };
  out << fmt::format("{}  {}{}\n", word("name"), word("state"), word("reason").empty() ? "" : ": " + word("reason"));
  if (shown.contains("steps"))
    out << fmt::format("  step {} of {} on {}\n", shown["step"].dump(), shown["steps"].dump(), word("host"));
  if (shown.contains("saved_step") && !shown["saved_step"].is_null()) {
    out << fmt::format("  saved at step {}, where its next run goes on\n", shown["saved_step"].dump());
  }
  if (shown.contains("created")) {
    out << fmt::format("  {}, {} of training\n", word("created"), duration_text(shown["seconds"].get<double>()));
  }
  out << "settings\n";
  for (const auto& [key, value] : shown["settings"].items())
    out << fmt::format("  {} = {}\n", key, value.get<std::string>());
  if (!shown["crashes"].empty()) out << "crashes\n";
  for (const ShownJson& crash : shown["crashes"]) {
    out << fmt::format("  {}  after step {}: {}\n", shown_text(crash, "time"),
                       crash.contains("step") ? crash["step"].dump() : "?", shown_text(crash, "reason"));
  }
  if (!shown["history"].empty()) out << "history\n";
  for (const ShownJson& run : shown["history"]) {
    out << fmt::format("  {} on {}\n", shown_text(run, "journal"), shown_text(run, "host"));
    for (const ShownJson& record : run["records"]) out << fmt::format("    {}\n", record_text(record));
  }
  if (!shown["files"].empty()) out << "files\n";
  for (const ShownJson& file : shown["files"]) {
    out << fmt::format("  {}  {}\n", file.value("path", ""), bytes_text(file.value("bytes", 0.0)));
  }
}

}  // namespace

void add_show_options(VerbOptions& options) {
  options.add_options()("trial", po::value<std::string>(), "how its name begins")(
      "out,o", po::value<std::string>(), "output directory of winnow run")("json", "one JSON object");
}

int run_show(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("show", args, out);
  if (!given) return 0;
  if (!given->contains("trial")) fail(ErrorKind::Usage, "which trial? winnow show ID, as winnow status names them");
  PosixFiles files;
  TrialFinder finder(files, given->contains("out") ? fs::path(given->at("out").as<std::string>()) : place_of(*given));
  const ShownJson shown = finder.show(finder.name_of_trial(given->at("trial").as<std::string>()));
  if (given->contains("json")) {
    write_json(out, shown);
  } else {
    print_shown(out, shown);
  }
  return 0;
}

}  // namespace winnow
