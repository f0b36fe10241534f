#include "experiments/sweep/set_arguments.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "experiments/sweep/argument.h"
#include "experiments/sweep/catalog_keys.h"

namespace winnow {
namespace {

// Points that differed only in a replaced axis are one.
void unite_equal_points(Axes& axes) {
  std::set<std::tuple<std::vector<const Entry*>, std::vector<int>, std::optional<std::int64_t>>> seen;
  std::erase_if(axes.points, [&](const Point& p) { return !seen.emplace(p.entries, p.cases, p.replicate).second; });
}

// The values of `--set key=[a, b]` where the setting itself is no list; else none.
std::vector<Entry> axis_values(const Member& member, const Catalog& catalog, Diagnostics& problems) {
  std::vector<Entry> values;
  const auto settings = settings_named(catalog, member.key);
  const bool one_value = std::ranges::none_of(settings, [](const Setting* s) { return is_list(s->kind); });
  if (settings.empty() || !one_value) return values;
  for (const NodePtr& item : member.value->items) {
    if (auto text = value_text(*item, member.key, problems))
      values.push_back({member.key, std::move(*text), member.place, member.place});
  }
  return values;
}

}  // namespace

SetArguments apply_arguments(const ExpandOptions& options, const Catalog& catalog, Document& document, Axes& axes,
                             Diagnostics& problems) {
  SetArguments given;
  std::vector<Entry> replacing;
  std::map<std::string, std::vector<Entry>> new_axes;  // by key
  const auto replace = [&](std::vector<Entry> entries) {
    for (const Entry& entry : entries) new_axes.erase(entry.key);
    merge_entries(replacing, std::move(entries));
  };
  const auto set = [&](const std::string& said, const std::string& argument) {
    const NodePtr map = parse_argument(said, argument, problems);
    if (!map) return;
    std::vector<Entry> values = axis_values(map->members.front(), catalog, problems);
    if (values.empty()) {
      replace(flatten(*map, "", problems));
    } else {
      replace({values.front()});
      given.axes[values.front().key] = {values.front().key_place, 0};
      new_axes[values.front().key] = std::move(values);
    }
  };
  for (const std::string& argument : options.set) set("--set " + argument, argument);
  for (const OptionSetting& option : options.options) {
    const std::string key = option.setting.substr(0, option.setting.find('='));
    const auto twice = std::ranges::find(replacing, key, &Entry::key);
    if (twice != replacing.end()) {
      problems.error(twice->key_place, fmt::format("'{}' is given by {} too; give one of them", key, option.said));
    } else {
      set(option.said, option.setting);
    }
  }
  if (options.smoke) {
    given.smoke = {problems.add_argument("--smoke"), 1, 1, 1};
    replace({{"train.epochs", "2", given.smoke, given.smoke}});
    if (!settings_named(catalog, kFraction).empty()) {
      replace({{kFraction, "0.01", given.smoke, given.smoke}});
    }
  }
  std::size_t erased = 0;
  for (const Entry& entry : replacing) {
    if (std::count(axes.case_keys.begin(), axes.case_keys.end(), entry.key) != 0) {
      problems.error(entry.key_place,
                     fmt::format("the cases of the file choose '{}'; use --only to pick some", entry.key));
    }
    for (Point& point : axes.points) {
      erased += std::erase_if(point.entries, [&](const Entry* own) { return own->key == entry.key; });
    }
  }
  if (erased > 0) unite_equal_points(axes);
  merge_entries(document.settings, std::move(replacing));
  for (const auto& [key, values] : new_axes) add_axis(axes, values, problems);
  return given;
}

}  // namespace winnow
