// The texts of settings: what each kind of value may look like, and the one spelling by which it is
// compared, printed and hashed. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/setting_values.h"

namespace winnow {

std::string_view trim(std::string_view text);  // without spaces and tabs at the ends

std::optional<std::int64_t> parse_integer(std::string_view text);
std::optional<double> parse_real(std::string_view text);
// `epochs`: the unit of a plain number.
std::optional<Length> parse_length(std::string_view text, bool epochs = true);
std::optional<std::pair<std::string, double>> parse_named_real(std::string_view text);  // "conv1=0.5"
// The items of "[a, b]"; a plain item is a list of one.
std::optional<std::vector<std::string>> parse_list(std::string_view text);

// The shortest decimal text that reads back as this double; finite.
std::string real_text(double value);

struct Setting;
struct CanonicalValue {
  std::string text;     // if there is no problem
  std::string problem;  // "must be in (0, 1], is 1.5"
};
// The value of `text` as `setting` spells it.
CanonicalValue canonical_value(const Setting& setting, std::string_view text);

}  // namespace winnow
