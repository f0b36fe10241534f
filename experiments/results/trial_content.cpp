#include "experiments/results/trial_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "experiments/data/digest.h"
#include "experiments/results/weight_forms.h"

namespace winnow {
namespace {

constexpr std::array kWeights = {"/weights", "/weights_start"};
// Which form of a tensor is the smallest, and how small, hangs on the last bit of its values.
bool is_of_a_form(const std::string& path) {
  return path == "/layers/form" || path == "/layers/stored_bytes" || path.starts_with("/layers/bytes.");
}

constexpr std::array kMembers = {"/settings", "/summary", "/metrics",       "/events",
                                 "/layers",   "/weights", "/weights_start", "/lineage"};

class ContentComparison {
 public:
  ContentComparison(const Hdf5File& first, const Hdf5File& second, double tolerance)
      : first_(first), second_(second), tolerance_(tolerance) {}

  std::vector<ContentDifference> run() {
    compare_children("");
    return std::move(found_);
  }

 private:
  using Kind = Hdf5File::Type;

  void add(const std::string& path, std::string what) { found_.push_back({path, std::move(what)}); }

  std::set<std::string> content_below(const Hdf5File& file, const std::string& group) const {
    std::set<std::string> names;
    for (const std::string& name : file.children(group.empty() ? "/" : group)) {
      if (is_trial_content(file, group + "/" + name)) names.insert(name);
    }
    return names;
  }

  void compare_children(const std::string& group) {
    const auto before = content_below(first_, group), after = content_below(second_, group);
    std::set<std::string> all = before;
    all.insert(after.begin(), after.end());
    for (const std::string& name : all) {
      const std::string path = group + "/" + name;
      if (!after.contains(name)) {
        add(path, "is missing in the second");
      } else if (!before.contains(name)) {
        add(path, "is missing in the first");
      } else {
        compare(path);
      }
    }
  }

  void compare(const std::string& path) {
    const std::size_t before = found_.size();
    compare_object(path);
    if (tolerance_ == 0 || !is_of_a_form(path)) return;
    for (std::size_t i = before; i < found_.size(); ++i) found_[i].allowed = true;
  }

  void compare_object(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string group = path.substr(0, slash);
    if (tolerance_ > 0 && std::ranges::find(kWeights, group) != kWeights.end()) {
      const auto dense = [&](const Hdf5File& file) {
        const std::vector<float> values = read_weight(file, group, path.substr(slash + 1)).values;
        return std::vector<double>(values.begin(), values.end());
      };
      return compare_numbers(path, dense(first_), dense(second_));
    }
    const Kind kind = first_.type(path);
    if (kind != second_.type(path)) return add(path, "is of another type");
    if (kind == Kind::Group) return compare_children(path);
    if (kind == Kind::Text) return compare_texts(path, first_.read_texts(path), second_.read_texts(path));
    compare_numbers(path, first_.read<double>(path), second_.read<double>(path));
  }

  bool same_length(const std::string& path, std::size_t before, std::size_t after) {
    if (before != after) add(path, fmt::format("has {} entries, then {}", before, after));
    return before == after;
  }

  void compare_texts(const std::string& path, const std::vector<std::string>& before,
                     const std::vector<std::string>& after) {
    if (!same_length(path, before.size(), after.size())) return;
    const auto first = std::ranges::mismatch(before, after);
    if (first.in1 == before.end()) return;
    constexpr std::size_t kShown = 40;
    add(path, fmt::format("differs first at {}: '{}', then '{}'", first.in1 - before.begin(),
                          first.in1->substr(0, kShown), first.in2->substr(0, kShown)));
  }

  void compare_numbers(const std::string& path, const std::vector<double>& before, const std::vector<double>& after) {
    if (!same_length(path, before.size(), after.size())) return;
    std::size_t count = 0, first = 0;
    ContentDifference difference{.object = path, .what = {}, .largest = 0, .allowed = true};
    for (std::size_t i = 0; i < before.size(); ++i) {
      const bool both_absent = std::isnan(before[i]) && std::isnan(after[i]);
      if (before[i] == after[i] || both_absent) continue;
      if (count++ == 0) first = i;
      const double by = std::abs(before[i] - after[i]);
      if (!(by <= difference.largest)) difference.largest = by;  // also where one is no number
      if (!(by <= tolerance_ * std::max({std::abs(before[i]), std::abs(after[i]), 1.0}))) difference.allowed = false;
    }
    if (count == 0) return;
    difference.what = fmt::format("differs first at {}: {}, then {}; in {} of {} entries, by {:.3g} at most", first,
                                  before[first], after[first], count, before.size(), difference.largest);
    found_.push_back(std::move(difference));
  }

  const Hdf5File& first_;
  const Hdf5File& second_;
  double tolerance_;
  std::vector<ContentDifference> found_;
};

}  // namespace

bool is_trial_content(const Hdf5File& file, const std::string& path) {
  if (path.rfind('/') == 0) return std::ranges::find(kMembers, path) != kMembers.end();
  return !file.has(path, "measured");
}

std::string trial_digest(const Hdf5File& file) {
  Sha256 sum;
  sum.update(fmt::format("{} {} {} {}\n", file.text("/", "id"), file.integer("/", "replicate"), file.text("/", "state"),
                         file.text("/", "reason")));
  sum.update(file.digest([&](const std::string& path) { return !is_trial_content(file, path); }));
  return sum.hex();
}

std::vector<ContentDifference> content_differences(const Hdf5File& first, const Hdf5File& second, double tolerance) {
  return ContentComparison(first, second, tolerance).run();
}

}  // namespace winnow
