// Every registered method as a short trial, and one process that trains it: what is gone after a stop. Header only.
#pragma once

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/run/trial_recorder.h"
#include "tests/training/small_trial.h"

namespace winnow::test {

// The settings of a method under `prefix`, as its example has them.
inline void add_settings(const MethodDef& def, const std::string& prefix, Pairs& settings) {
  for (const Setting& setting : def.schema) {
    if (setting.key == "density") settings.emplace_back(prefix + "density", "0.2");
  }
  for (const auto& [key, text] : def.example.settings) settings.emplace_back(prefix + key, text);
}

struct Recipe {
  std::string name, model;
  Pairs method;
};
inline void PrintTo(const Recipe& recipe, std::ostream* out) { *out << recipe.name; }

inline Recipe recipe_of(const MethodDef& main, const MethodDef* with = nullptr) {
  Recipe recipe{main.name, main.example.model, {{"name", main.name}}};
  add_settings(main, "", recipe.method);
  if (with != nullptr) {
    recipe.name += "_with_" + with->name;
    if (recipe.model == MethodExample{}.model) recipe.model = with->example.model;
    recipe.method.emplace_back("with." + with->name, "on");
    add_settings(*with, "with." + with->name + ".", recipe.method);
  }
  std::ranges::replace_if(
      recipe.name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return recipe;
}

inline std::vector<Recipe> each_method() {
  std::vector<Recipe> recipes;
  for (const MethodDef& def : methods()) recipes.push_back(recipe_of(def));
  return recipes;
}

// One process of a trial: what is gone after a stop.
class Process {
 public:
  // `programs`: those of earlier processes; `seed`: what is added to the trial's seeds; `comm`: this one of its ranks.
  explicit Process(const Recipe& recipe, const Pairs& train = {}, ProgramCache* programs = nullptr,
                   std::uint64_t seed = 0, Communicator* comm = nullptr)
      : trial_(recipe.model, recipe.method, joined({{"epochs", "2"}, {"batch", "16"}, {"lr", "0.01"}}, train),
               {{"height", "16"},
                {"width", "16"},
                {"channels", "3"},
                {"examples", "80"},
                {"test_examples", "20"},
                {"validation", "16"}},
               {}, comm) {
    spec_.settings.set("save.metrics.every", "3");  // so that a row spans several steps
    spec_.settings.set("train.batch", "16");
    const Model dense = trial_.build()(1, DType::F32);
    Model edited = dense;
    GraphEditor editor(edited, trial_.train());
    trial_.method().edit(editor);
    recorder.emplace(spec_, dense, edited, options_, [this] { return batches_left-- == 0 ? Wish::Stop : Wish::GoOn; });
    trial_.observer = &*recorder;
    TrainJob job = trial_.job();
    job.programs = programs;
    for (std::uint64_t* one : {&job.seeds.init, &job.seeds.data_order, &job.seeds.method, &job.seeds.dropout}) {
      *one += seed;
    }
    trainer.emplace(std::move(job));
  }

  std::int64_t batches_left = -1;  // to the stop; negative: none
  std::optional<TrialRecorder> recorder;
  std::optional<Trainer> trainer;

  // False: it was stopped.
  bool run() {
    try {
      outcome = trainer->run();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Stopped) throw;
      return false;
    }
    return true;
  }
  // All that is bit-equal in two runs of a trial.
  MemoryState ended() {
    MemoryState state;
    trainer->params().save(state);
    PrefixWriter method(state, "method");
    trial_.method().save(method);
    TrialResult result;
    recorder->finish(result, trainer->length());
    for (const auto& [key, value] : result.summary) {
      if (!key.starts_with("seconds.") && key != "images_per_second") state.put_value("summary/" + key, value);
    }
    for (const Table* table : {&result.epochs, &result.steps, &result.events}) {
      for (const Column& column : table->columns) put(state, "table/" + column.name + std::to_string(rows_++), column);
    }
    state.put_value("step", outcome.step);
    state.put_value("skipped", outcome.skipped);
    return state;
  }

 private:
  static Pairs joined(Pairs a, const Pairs& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
  static void put(MemoryState& state, const std::string& key, const Column& column) {
    if (const auto* real = std::get_if<std::vector<double>>(&column.values)) {
      state.put_values<double>(key, *real);
    } else if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) {
      state.put_values<std::int64_t>(key, *whole);
    } else {
      std::string lines;
      for (const std::string& text : std::get<std::vector<std::string>>(column.values)) lines += text + "\n";
      state.put_text(key, lines);
    }
  }

  SmallTrial trial_;
  TrialSpec spec_;
  RunTrialOptions options_;
  Trainer::Outcome outcome;
  int rows_ = 0;
};

// What differs, for a message.
inline std::string difference(MemoryState& a, MemoryState& b) {
  std::string text;
  for (const std::string& key : a.unread()) {
    const Block one = a.get(key), other = b.get(key);
    if (!std::ranges::equal(one.bytes, other.bytes)) text += key + " ";
  }
  return text;
}

}  // namespace winnow::test
