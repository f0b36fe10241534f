// What --set, --smoke and options that give one setting change in a sweep file.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "experiments/catalog.h"
#include "experiments/sweep/axes.h"
#include "experiments/sweep/document.h"
#include "experiments/sweep/sweep.h"

namespace winnow {

// Set by --smoke to what is a little of the data.
inline constexpr const char* kFraction = "data.fraction";

struct SetArguments {
  struct Axis {
    Place place;
    std::size_t unread = 0;  // trials that do not read its value; counted by whoever expands the axes
  };
  std::map<std::string, Axis> axes;  // of --set KEY=[A, B]
  Place smoke;                       // of settings that --smoke gives
};

// Replaces settings and axes of the file, and adds axes. What is wrong goes to `problems`; Error{Usage} for what is no
// KEY=VALUE.
SetArguments apply_arguments(const ExpandOptions& options, const Catalog& catalog, Document& document, Axes& axes,
                             Diagnostics& problems);

}  // namespace winnow
