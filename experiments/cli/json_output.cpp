#include "experiments/cli/json_output.h"

#include <ostream>

namespace winnow {
namespace {

void write_indented(std::ostream& out, const nlohmann::ordered_json& json, int indent) {
  out << json.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
}

}  // namespace

void write_json(std::ostream& out, const nlohmann::ordered_json& json) { write_indented(out, json, 2); }

void write_json_line(std::ostream& out, const nlohmann::ordered_json& json) { write_indented(out, json, -1); }

}  // namespace winnow
