// What this machine calls itself.
#pragma once

#include <string>

namespace winnow {

std::string host_name();  // "unknown" where it has no name

}  // namespace winnow
