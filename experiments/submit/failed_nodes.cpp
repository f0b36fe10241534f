#include "experiments/submit/failed_nodes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "experiments/text.h"

namespace winnow {

FailedNodes failed_nodes(std::span<const SlurmTask> accounts, const std::set<std::string>& jobs) {
  constexpr std::size_t kMost = 4;
  std::map<std::string, std::size_t> lost;  // tasks, by node
  for (const SlurmTask& task : accounts) {
    if (task.state != "NODE_FAIL" || !jobs.contains(task.name)) continue;
    const bool is_one = !task.nodes.empty() && task.nodes.find_first_of("[, ") == std::string::npos;
    if (is_one) ++lost[task.nodes];
  }
  std::erase_if(lost, [](const auto& node) { return node.second < 2; });
  FailedNodes found;
  if (lost.empty()) return found;
  std::vector<std::string> said;
  for (const auto& [node, tasks] : lost) said.push_back(fmt::format("{} ({})", node, counted(tasks, "task")));
  if (lost.size() > kMost) {
    found.notes.push_back(
        fmt::format("{} nodes were lost again and again under jobs of this folder: {}; none is left out, since so many "
                    "are no fault of one (--exclude leaves out)",
                    lost.size(), fmt::join(said, ", ")));
    return found;
  }
  for (const auto& [node, tasks] : lost) found.exclude.push_back(node);
  found.notes.push_back(
      fmt::format("left out, since lost again and again under jobs of this folder: {} (--exclude-failed no takes them)",
                  fmt::join(said, ", ")));
  return found;
}

}  // namespace winnow
