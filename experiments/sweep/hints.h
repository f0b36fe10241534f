// What people write who know other tools, and what a sweep file calls it. Pure.
#pragma once

#include <string>
#include <string_view>

namespace winnow {

// A line for below the problem with this unknown key; empty: nothing comes to mind.
std::string hint_for(std::string_view key, std::string_view value = {});

}  // namespace winnow
