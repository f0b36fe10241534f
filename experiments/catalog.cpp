#include "experiments/catalog.h"

#include "core/train_settings.h"
#include "experiments/data/registry.h"
#include "experiments/methods/registry.h"
#include "experiments/models/registry.h"

namespace winnow {
namespace {

Schema trial_schema() {
  using Kind = Setting::Kind;
  Schema schema;
  for (Setting setting : train_schema()) {
    setting.key = "train." + setting.key;
    for (auto& conditions : setting.read_when) {
      for (Condition& condition : conditions) condition.key = "train." + condition.key;
    }
    schema.push_back(std::move(setting));
  }
  const Schema own = {
      {.key = "train.device",
       .kind = Kind::Choice,
       .fallback = "auto",
       .choices = {"auto", "cpu", "cuda"},
       .meaning =
           "what trains the trial; auto is a GPU where this program has the CUDA back end and finds one, else the "
           "CPU. No part of a trial's identity: results name their device in their provenance"},
      {.key = "init.from",
       .kind = Kind::Path,
       .fallback = "",
       .meaning = "result file whose weights are the start values; empty: drawn from the seed"},
      {.key = "ranks",
       .kind = Kind::Int,
       .fallback = "1",
       .range = Range{1, 1e6},
       .unit = "ranks",
       .meaning = "ranks that train one trial together; part of a trial's identity only above 1 and where the model "
                  "has batch norm, which then sees the examples of one rank"},
      {.key = "save.metrics.every",
       .kind = Kind::Int,
       .fallback = "50",
       .range = Range{1, 1e9},
       .unit = "steps",
       .meaning = "distance of two rows of the step metrics"},
      {.key = "save.checkpoint.every",
       .kind = Kind::Int,
       .fallback = "300",
       .range = Range{0, 1e7},
       .unit = "s",
       .meaning = "time between two checkpoints of a trial in progress, from which it goes on after its process was "
                  "killed; 0: only when the run is told to stop, which always saves"},
      {.key = "save.weights.form",
       .kind = Kind::Choice,
       .fallback = "auto",
       .choices = {"auto", "dense", "csr", "bitmask", "seed", "none"},
       .meaning = "how pruned weights are stored; auto: CSR unless another form saves 20 %"},
      {.key = "save.weights.when",
       .kind = Kind::Choice,
       .fallback = "end",
       .choices = {"end", "both"},
       .meaning = "weights at the end, or at the start too"},
  };
  schema.insert(schema.end(), own.begin(), own.end());
  return schema;
}

}  // namespace

const Catalog& catalog() {
  static const Catalog all = [] {
    Catalog c;
    for (const auto& def : methods()) c.methods.push_back(def);
    for (const auto& def : models()) c.models.push_back(def);
    for (const auto& def : datasets()) c.datasets.push_back(def);
    c.trial = trial_schema();
    const ReadWhen from_file = {{unless("init.from", {""})}};
    c.overrides = {{"model.init", from_file}, {"model.bn_scale", from_file}};
    return c;
  }();
  return all;
}

}  // namespace winnow
