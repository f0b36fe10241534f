#include "experiments/data/missing_data.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "experiments/data/registry.h"

namespace winnow {

std::vector<std::string> missing_data(std::span<const TrialSpec* const> trials) {
  std::vector<std::string> problems;
  std::set<std::map<std::string, std::string, std::less<>>> seen;
  for (const TrialSpec* trial : trials) {
    const Settings data = trial->settings.below("data");
    const DatasetDef& def = find_dataset(data.text("name"));
    if (!def.locate || !seen.insert(data.values()).second) continue;
    try {
      def.locate(data);
    } catch (const Error& error) {
      if (std::ranges::find(problems, error.what()) == problems.end()) problems.emplace_back(error.what());
    }
  }
  return problems;
}

}  // namespace winnow
