#include "experiments/report/trial_filter.h"

#include "core/setting_text.h"
#include "experiments/sweep/argument.h"
#include "experiments/sweep/catalog_keys.h"

namespace winnow {

TrialFilter::TrialFilter(const std::vector<std::string>& only, const Catalog& catalog)
    : catalog_(catalog), rules_(catalog) {
  Diagnostics problems;
  for (const std::string& argument : only) {
    const NodePtr map = parse_argument("--only", argument, problems);
    auto rule = map ? Rule::read(*map, catalog, problems) : std::nullopt;
    if (!rule) continue;
    for (std::string& key : rule->keys()) keys_.push_back(std::move(key));
    rules_.add(std::move(*rule), true);
  }
  problems.throw_if_any();
}

bool TrialFilter::keeps(Settings settings) {
  for (const std::string& key : keys_) {
    const Setting* setting = setting_of(catalog_, settings, key);
    if (setting == nullptr) continue;  // a name, or what another winnow knew
    if (!settings.has(key) && setting->fallback) settings.set(key, *setting->fallback);
    if (!settings.has(key)) continue;
    const CanonicalValue value = canonical_value(*setting, settings.text(key));
    if (value.problem.empty()) settings.set(key, value.text);
  }
  spec_.settings = std::move(settings);
  return !rules_.leaving_out(spec_);
}

}  // namespace winnow
