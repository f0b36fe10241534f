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
    schema.push_back(std::move(setting));
  }
  schema.push_back({"init.from",
                    Kind::Path,
                    "",
                    {},
                    {},
                    "",
                    "result file whose weights are the start values; empty: drawn from the seed",
                    ""});
  schema.push_back({"ranks",
                    Kind::Int,
                    "1",
                    Range{1, 1e6},
                    {},
                    "ranks",
                    "ranks that train one trial together; no part of its identity",
                    ""});
  schema.push_back({"save.metrics.every",
                    Kind::Int,
                    "50",
                    Range{1, 1e9},
                    {},
                    "steps",
                    "distance of two rows of the step metrics",
                    ""});
  schema.push_back({"save.weights.form",
                    Kind::Choice,
                    "auto",
                    {},
                    {"auto", "dense", "csr", "bitmask", "seed", "none"},
                    "",
                    "how pruned weights are stored; auto: CSR unless another form saves 20 %",
                    ""});
  schema.push_back({"save.weights.when",
                    Kind::Choice,
                    "end",
                    {},
                    {"end", "both"},
                    "",
                    "weights at the end, or at the start too",
                    ""});
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
    return c;
  }();
  return all;
}

}  // namespace winnow
