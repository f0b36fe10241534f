// What people write who know other tools, and what a sweep file calls it. Pure.
#pragma once

#include <string>
#include <string_view>

namespace winnow {

// A line for below the problem with this unknown key; empty: nothing comes to mind.
std::string hint_for(std::string_view key, std::string_view value = {});

// Of the value of `key`, which takes one: what to do where a list was given. `in_trial`: it stands under trial.
std::string hint_for_values(std::string_view key, std::string_view value, bool in_trial);

}  // namespace winnow
