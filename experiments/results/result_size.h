// What the files of a trial will take on disk, told before there are any: by the forms in which its tensors are stored, how well
// their filters do, and what HDF5 adds to each. Within a seventh of the real size for the methods whose masks are foretold; what
// is finished corrects it further (MeasuredRatios). Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/settings.h"
#include "experiments/accounting/foresee.h"

namespace winnow {

struct TableRows {
  std::int64_t epochs = 0, steps = 0;
};

// `settings`: of the trial. Without the text of the sweep file, which each result has too.
double expected_result_bytes(std::span<const ForetoldTensor> tensors, const Settings& settings, const TableRows& rows);
// One checkpoint; `slots`: values that the optimiser keeps for each weight.
double expected_checkpoint_bytes(std::span<const ForetoldTensor> tensors, std::int64_t slots);

}  // namespace winnow
