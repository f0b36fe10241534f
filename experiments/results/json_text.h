// JSON from a file that anyone may have written. Pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace winnow {

// Discarded (is_discarded()) where the text is no JSON, and where it nests deeper than any of winnow's own: copies and texts of
// such a value are made by recursion.
template <class Json = nlohmann::json>
Json parse_stranger(std::string_view text) {
  constexpr int kMostNesting = 32;
  bool too_deep = false;
  const typename Json::parser_callback_t look = [&](int depth, typename Json::parse_event_t, Json&) {
    too_deep |= depth > kMostNesting;
    return !too_deep;
  };
  Json json = Json::parse(text, look, false);
  return too_deep ? Json(Json::value_t::discarded) : json;
}

}  // namespace winnow
