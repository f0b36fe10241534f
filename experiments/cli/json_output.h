// How verbs print JSON for --json, the same for all. The functions keep no state and own nothing; what is no UTF-8, as a
// path can be, is replaced and no error.
#pragma once

#include <iosfwd>
#include <nlohmann/json.hpp>

namespace winnow {

void write_json(std::ostream& out, const nlohmann::ordered_json& json);  // indented, for verbs that print one object
void write_json_line(std::ostream& out, const nlohmann::ordered_json& json);  // of a stream of objects

}  // namespace winnow
