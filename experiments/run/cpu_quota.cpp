#include "experiments/run/cpu_quota.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

namespace winnow {
namespace {

using Path = std::filesystem::path;

std::vector<std::string> lines_of(const Path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::optional<double> number_in(const Path& path) {
  std::ifstream file(path);
  double number = 0;
  if (file >> number) return number;
  return std::nullopt;
}

bool lists(const std::string& names, const std::string& name) {
  return ("," + names + ",").find("," + name + ",") != std::string::npos;
}

// "max 100000" or "150000 100000": microseconds of CPU time in a period.
std::optional<double> cores_v2(const Path& folder) {
  std::ifstream file(folder / "cpu.max");
  double quota = 0, period = 0;
  if (file >> quota >> period && quota > 0 && period > 0) return quota / period;
  return std::nullopt;
}

std::optional<double> cores_v1(const Path& folder) {
  const auto quota = number_in(folder / "cpu.cfs_quota_us"), period = number_in(folder / "cpu.cfs_period_us");
  if (quota && period && *quota > 0 && *period > 0) return *quota / *period;  // -1: no limit
  return std::nullopt;
}

// Where one hierarchy is mounted, and which of its groups that mount shows: in a container often not the root.
struct Mount {
  Path point, shown;
  bool v2 = false;
};

// A line of mountinfo: id, parent, device, root, mount point, options, optional fields, "-", type, source, super options.
std::vector<Mount> mounts(const Path& root) {
  std::vector<Mount> found;
  for (const std::string& line : lines_of(root / "proc/self/mountinfo")) {
    std::istringstream words(line);
    std::string id, parent, device, shown, point, word, type, source, options;
    words >> id >> parent >> device >> shown >> point;
    while (words >> word && word != "-") {
    }
    words >> type >> source >> options;
    if (type == "cgroup2") found.push_back({.point = point, .shown = shown, .v2 = true});
    if (type == "cgroup" && lists(options, "cpu")) found.push_back({.point = point, .shown = shown});
  }
  return found;
}

// The process's group in a hierarchy, from lines such as "0::/user.slice" and "4:cpu,cpuacct:/docker/3f2a".
std::optional<Path> group_of(const Path& root, bool v2) {
  for (const std::string& line : lines_of(root / "proc/self/cgroup")) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? controllers.empty() : lists(controllers, "cpu")) return line.substr(second + 1);
  }
  return std::nullopt;
}

}  // namespace

CpuQuota cpu_quota(const Path& root) {
  CpuQuota tightest;
  for (const Mount& mount : mounts(root)) {
    const auto group = group_of(root, mount.v2);
    if (!group) continue;
    // Below the mount, seen from the group that it shows; a group outside of it is seen as its root.
    Path inside = group->lexically_relative(mount.shown);
    if (inside.empty() || *inside.begin() == "..") inside = ".";
    const Path top = (root / mount.point.relative_path()).lexically_normal();
    for (Path at = (top / inside).lexically_normal();; at = at.parent_path()) {
      if (!at.has_filename()) at = at.parent_path();  // "/sys/fs/cgroup/" of "."
      const auto cores = mount.v2 ? cores_v2(at) : cores_v1(at);
      if (cores && *cores < tightest.cores) tightest = {.cores = *cores, .group = at.string()};
      if (at == top || !at.has_relative_path()) break;
    }
  }
  return tightest;
}

}  // namespace winnow
