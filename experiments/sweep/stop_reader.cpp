#include "experiments/sweep/stop_reader.h"

#include <algorithm>

#include "core/settings.h"
#include "experiments/sweep/entries.h"

namespace winnow {
namespace {

Schema with_common(Schema schema) {
  schema.insert(schema.begin(),
                {{.key = "metric", .kind = Setting::Kind::Choice, .fallback = "", .choices = stop_metrics()},
                 {.key = "min", .kind = Setting::Kind::Length, .fallback = {}}});
  schema.push_back({.key = "by", .kind = Setting::Kind::TextList, .fallback = "[data.name, model.name]"});
  return schema;
}

const Schema& stop_schema(StopRule::Kind kind) {
  static const Schema by_factor =
      with_common({{.key = "eta", .kind = Setting::Kind::Int, .fallback = "3", .range = Range{2, 100}}});
  static const Schema by_median =
      with_common({{.key = "every",
                    .kind = Setting::Kind::Length,
                    .fallback = "1ep",
                    .derive = [](const Settings& given) { return given.text("min"); }},
                   {.key = "trials", .kind = Setting::Kind::Int, .fallback = "5", .range = Range{2, 1e6}}});
  return kind == StopRule::Kind::Median ? by_median : by_factor;
}

std::string keys_of(const Schema& schema) {
  std::vector<std::string> keys;
  for (const Setting& setting : schema) keys.push_back(setting.key);
  const std::string last = keys.back();
  keys.pop_back();
  return fmt::format("{} and {}", fmt::join(keys, ", "), last);
}

std::optional<GivenStop> read_stop_rule(const Member& member, Diagnostics& problems) {
  const YamlNode& node = *member.value;
  const std::string prefix = "stop." + member.key;
  const auto& kinds = stop_kinds();
  const auto kind = static_cast<StopRule::Kind>(std::ranges::find(kinds, member.key) - kinds.begin());
  const Schema& schema = stop_schema(kind);
  if (!node.is_map()) {
    problems.error(node.place, fmt::format("'{}' is a map with {}", prefix, keys_of(schema)));
    return std::nullopt;
  }
  GivenStop given{.rule = {}, .name = prefix, .place = member.place, .values = {}, .by = {}};
  Settings settings;
  std::map<std::string, Place> keys;
  bool good = true;
  for (const Member& option : node.members) {
    const auto text = value_text(*option.value, prefix + "." + option.key, problems);
    good = good && text.has_value();
    if (!text) continue;
    settings.set(option.key, *text);
    keys[option.key] = option.place;
    given.values[option.key] = option.value->place;
    if (option.key != "by") continue;
    for (const NodePtr& item : option.value->items) given.by.push_back(item->place);
  }
  std::vector<SettingProblem> found;
  const Settings read = resolve(schema, settings, found);
  for (const SettingProblem& problem : found) {
    const bool unknown = problem.text.starts_with("unknown");
    const auto& places = unknown ? keys : given.values;
    const auto place = places.find(problem.key);
    problems.error(place == places.end() ? member.place : place->second,
                   fmt::format("'{}.{}' {}", prefix, problem.key, problem.text));
    good = false;
  }
  if (!good) return std::nullopt;
  given.rule.kind = kind;
  given.rule.metric = read.text("metric");
  given.rule.by = read.texts("by");
  const auto epochs_of = [&](const std::string& key, std::int64_t& epochs) {
    const Length length = read.length(key);
    epochs = length.count;
    if (length.epochs && length.count >= 1) return true;
    problems.error(given.place_of(key),
                   fmt::format("'{}.{}' must be whole epochs, 1ep or more, is {}", prefix, key, read.text(key)));
    return false;
  };
  if (!epochs_of("min", given.rule.min)) return std::nullopt;
  if (kind == StopRule::Kind::Median) {
    given.rule.trials = read.integer("trials");
    if (!epochs_of("every", given.rule.every)) return std::nullopt;
  } else {
    given.rule.eta = read.integer("eta");
  }
  return given;
}

}  // namespace

const Place& GivenStop::place_of(const std::string& key) const {
  const auto found = values.find(key);
  return found == values.end() ? place : found->second;
}

std::optional<GivenStop> read_stop(const YamlNode& section, Diagnostics& problems) {
  std::optional<GivenStop> given;
  std::string first;
  for (const Member& member : section.members) {
    if (member.key == "nonfinite") {
      if (!member.value->is_scalar() || member.value->text != "stop") {
        problems.error(member.value->place, "'stop.nonfinite' must be 'stop'");
      }
      continue;
    }
    if (std::ranges::find(stop_kinds(), member.key) == stop_kinds().end()) {
      std::vector<std::string> known = stop_kinds();
      known.emplace_back("nonfinite");
      problems.error(member.place, fmt::format("unknown key 'stop.{}'; known: {}", member.key, fmt::join(known, ", ")),
                     did_you_mean(member.key, known));
      continue;
    }
    if (!first.empty()) {
      problems.error(member.place, fmt::format("'stop' has one rule at most: '{}' is given, too", first));
      continue;
    }
    first = member.key;
    given = read_stop_rule(member, problems);
  }
  return given;
}

void StopCheck::look_at(const TrialSpec& spec) {
  any_ = true;
  ranks_.insert(spec.ranks);
  for (const auto& [key, value] : spec.settings.values()) keys_.insert(key);
  all_validate_ = all_validate_ && spec.settings.has("data.validation") && spec.settings.text("data.validation") != "0";
  if (!spec.settings.has("train.epochs")) return;
  const Length length = spec.settings.length("train.epochs");
  if (!length.epochs) in_steps_ = spec.settings.text("train.epochs");
  longest_ = std::max(longest_, length.count);
}

void StopCheck::finish(GivenStop& given, Diagnostics& problems) const {
  if (!any_) return;
  StopRule& rule = given.rule;
  const std::string& name = given.name;
  if (!needed_.empty()) {
    problems.error(
        given.place,
        fmt::format("'{}' might stop trials that others begin with: '{}' needs a finished one", name, needed_),
        "put such trials into a sweep of their own, without a rule");
  }
  if (!in_steps_.empty()) {
    problems.error(given.place, fmt::format("'{}' counts epochs, and 'train.epochs' is {} in some trials: say it in "
                                            "epochs",
                                            name, in_steps_));
  } else if (longest_ <= rule.min) {
    problems.error(given.place_of("min"), fmt::format("'{}.min' must be less than 'train.epochs' of some trial, the "
                                                      "longest has {}ep: nothing would be stopped",
                                                      name, longest_));
  }
  if (ranks_.size() > 1) {
    problems.error(given.place,
                   fmt::format("'{}' needs the same 'ranks' in all trials: one that comes free goes on with "
                               "any of them",
                               name));
  }
  for (std::size_t i = 0; i < rule.by.size(); ++i) {
    if (keys_.contains(rule.by[i])) continue;
    problems.error(
        i < given.by.size() ? given.by[i] : given.place_of("by"),
        fmt::format("'{}.by' names settings of trials, and no trial of this sweep has '{}'", name, rule.by[i]),
        did_you_mean(rule.by[i], {keys_.begin(), keys_.end()}));
  }
  if (rule.metric.empty() && all_validate_) rule.metric = "val_acc";
  if (rule.metric.empty() || (rule.is_of_validation() && !all_validate_)) {
    const std::string without = "some trials keep no images for validation ('data.validation')";
    problems.error(given.place_of("metric"),
                   rule.metric.empty() ? fmt::format("'{}.metric' must be given, since {}: one of {}", name, without,
                                                     fmt::join(stop_metrics(), ", "))
                                       : fmt::format("'{}.metric' cannot be {}, since {}", name, rule.metric, without));
  }
}

}  // namespace winnow
