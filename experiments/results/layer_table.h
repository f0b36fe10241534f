// The /layers table of a result file: what the trainer says of each layer, joined with how each
// tensor is stored and what it would take in the other forms. Bytes are those after the filters;
// -1: not possible.
#pragma once

#include <vector>

#include "experiments/results/weight_forms.h"
#include "experiments/trial.h"

namespace winnow {

class LayerTable {
 public:
  explicit LayerTable(const Table& from_trainer) : given_(from_trainer) {}
  void add(const WeightRecord& weight, const WeightForms& forms, WeightForm chosen);
  // One row per tensor, then the trainer's rows that name no tensor.
  Table table() const;

 private:
  struct Row {
    std::string name, form;
    std::int64_t numel = 0, kept = 0, trained = 0, prunable = 0, stored = 0;
    std::vector<std::int64_t> bytes;  // in the order of kStoredForms
  };
  const Table& given_;
  std::vector<Row> rows_;
};

}  // namespace winnow
