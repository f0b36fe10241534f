// What a person calls a trial that another one needs: its teacher, its source. Roles themselves are names of settings.
#pragma once

#include <string_view>

namespace winnow {

inline std::string_view word_of_role(std::string_view role) { return role == "of" ? "source" : role; }

}  // namespace winnow
