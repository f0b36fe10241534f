#include "experiments/sweep/sweep.h"

#include "experiments/sweep/document.h"
#include "experiments/sweep/sweep_loader.h"

namespace winnow {

Catalog with_sweep_settings(Catalog catalog) {
  catalog.trial.push_back({.key = "pair",
                           .kind = Setting::Kind::Choice,
                           .fallback = "none",
                           .choices = {"none", "data_order", "all"},
                           .meaning = "data_order: data order and augmentation follow from data set and "
                                      "replicate alone, so that all methods see the same batches; "
                                      "all: initial weights and dropout too, from data set, model and replicate",
                           .source = "ours: paired comparisons need it"});
  catalog.trial.push_back({.key = "label",
                           .kind = Setting::Kind::Text,
                           .fallback = "",
                           .meaning =
                               "what other trials of the sweep call this one, as their teacher or ticket; empty: "
                               "the name of its method. No part of its identity",
                           .source = "ours"});
  return catalog;
}

std::string text_of_sweep(const std::filesystem::path& path, const std::optional<std::string>& text) {
  Diagnostics problems;
  read_document(path, text, problems);
  return problems.files_text(false);
}

Sweep load_sweep(const std::filesystem::path& path, const Catalog& catalog, const ExpandOptions& options) {
  return SweepLoader(path, catalog, options).load();
}

}  // namespace winnow
