#include "experiments/report/notes.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace winnow {
namespace {

std::string list_text(const std::vector<std::string>& items) {
  constexpr std::size_t kMost = 6;
  const std::size_t shown = std::min(items.size(), kMost);
  std::string text =
      fmt::format("{}", fmt::join(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(shown), "; "));
  return shown == items.size() ? text : text + fmt::format("; and {} more", items.size() - shown);
}

// A table is of one kind of arithmetic, or says so.
void note_unlike(const TrialRows& rows, std::string text, std::string ReportTrial::*what,
                 std::vector<std::string>& notes) {
  std::map<std::string, int> counts;
  for (const auto& [key, trials] : rows) {
    for (const ReportTrial* trial : trials) ++counts[trial->*what];
  }
  if (counts.size() < 2) return;
  for (const auto& [value, count] : counts) text += fmt::format(" {} {}", count, value.empty() ? "unknown" : value);
  notes.push_back(std::move(text));
}

// And of one version of each method, or says so: such rows differ in their id alone.
void note_versions(const TrialRows& rows, std::vector<std::string>& notes) {
  std::set<std::string> versions;
  const RowKey* last = nullptr;
  for (const auto& [key, trials] : rows) {
    if (last != nullptr &&
        std::tie(last->rest, last->method, last->density) == std::tie(key.rest, key.method, key.density)) {
      versions.insert(key.method);
    }
    last = &key;
  }
  if (versions.empty()) return;
  notes.push_back(
      fmt::format("rows of {} that read alike differ in their id: another version of the method, model or data set",
                  fmt::join(versions, ", ")));
}

// What keeps rows from being compared with a dense one, all of it or in part.
void note_baselines(const ComparisonGroup& group, std::vector<std::string>& notes) {
  const auto is_dense = [](const ComparisonRow& row) { return row.method == "dense"; };
  const auto finished = [&](const ComparisonRow& row) { return is_dense(row) && row.test_acc.count > 0; };
  if (std::ranges::all_of(group.rows, is_dense)) return;
  if (std::ranges::none_of(group.rows, finished)) {
    notes.push_back(std::ranges::any_of(group.rows, is_dense) ? "no dense trial is finished, so there are no gaps"
                                                              : "no dense row, so there are no gaps");
    return;
  }
  std::vector<std::string> without, unpaired, missing;
  for (const ComparisonRow& row : group.rows) {
    if (is_dense(row) || row.test_acc.count == 0) continue;
    if (!row.gap) {
      without.push_back(row.label());
    } else if (!row.paired) {
      unpaired.push_back(row.label());
    } else if (!row.alone.empty()) {
      missing.push_back(fmt::format("{} has {} of {} (without r{})", row.label(), row.gap->count, row.test_acc.count,
                                    fmt::join(row.alone, ", r")));
    }
  }
  if (!without.empty()) notes.push_back("no dense row with the same other settings for: " + list_text(without));
  if (!unpaired.empty()) notes.push_back("no replicate in common with the dense row: " + list_text(unpaired));
  if (!missing.empty()) notes.push_back("pairs with the dense row are missing: " + list_text(missing));
}

}  // namespace

void add_notes(const TrialRows& rows, ComparisonGroup& group) {
  note_unlike(rows, "trained in different precisions:", &ReportTrial::precision, group.notes);
  note_unlike(rows, "trained on different devices:", &ReportTrial::device, group.notes);
  note_unlike(rows, "statistics of batch norms come from different sums:", &ReportTrial::sums, group.notes);
  note_versions(rows, group.notes);
  note_baselines(group, group.notes);
}

}  // namespace winnow
