// What a reader of a table must know of all its rows: mixtures, and rows without a baseline or with fewer pairs.
#pragma once

#include "experiments/report/comparison.h"
#include "experiments/report/trial_reader.h"

namespace winnow {

// Appends to group.notes; the rows of `group` are made from `rows`.
void add_notes(const TrialRows& rows, ComparisonGroup& group);

}  // namespace winnow
