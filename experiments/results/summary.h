// The names of a trial's summary values: the one list that the trainer fills, the files store and
// the report prints. Accuracies are fractions in [0, 1]; a value that does not apply is absent, never 0.
#pragma once

#include <string>
#include <vector>

namespace winnow {

struct SummaryField {
  std::string name, unit, meaning;
};

const std::vector<SummaryField>& summary_fields();

}  // namespace winnow
