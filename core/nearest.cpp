#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "core/settings.h"

namespace winnow {
namespace {

// Optimal string alignment: edits and swaps of neighbours, the usual slips of a hand.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

// "learning_rate" -> "lr".
std::string initials(std::string_view word) {
  std::string letters;
  for (std::size_t i = 0; i < word.size(); ++i) {
    if (i == 0 || word[i - 1] == '_' || word[i - 1] == '-') letters += word[i];
  }
  return letters;
}

// One is the other written short: initials, or at its beginning or end, at least three letters.
bool abbreviates(std::string_view shorter, std::string_view longer) {
  if (shorter.size() >= 2 && shorter == initials(longer)) return true;
  return shorter.size() >= 3 && (longer.starts_with(shorter) || longer.ends_with("_" + std::string(shorter)));
}

constexpr std::size_t kOther = static_cast<std::size_t>(-1);  // no slip makes the one of the other
std::size_t most_wrong(std::string_view word) { return std::max<std::size_t>(1, word.size() / 3); }

}  // namespace

std::string in_small_letters(std::string_view word) {
  std::string small(word);
  for (char& c : small) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return small;
}

std::optional<std::string> nearest(std::string_view given, const std::vector<std::string>& names) {
  const auto split = [](std::string_view name) {
    const std::size_t dot = name.rfind('.');
    const std::size_t cut = dot == std::string_view::npos ? 0 : dot + 1;
    return std::pair(name.substr(0, cut), name.substr(cut));
  };
  const std::string word = in_small_letters(given);
  const auto [parent, leaf] = split(word);
  const auto distance_to = [&, parent = parent, leaf = leaf](const std::string& as_written) {
    const std::string name = in_small_letters(as_written);
    if (word == name) return std::size_t{0};
    const auto [name_parent, name_leaf] = split(name);
    // A third of the letters wrong is a slip, more is another word; those of the same section say nothing.
    const std::size_t most = most_wrong(parent == name_parent ? leaf : word);
    if (parent == name_parent && (abbreviates(leaf, name_leaf) || abbreviates(name_leaf, leaf))) return std::size_t{1};
    // Each letter too many is an edit, so of a very long word nothing need be worked out.
    const std::size_t longer = std::max(word.size(), name.size()), shorter = std::min(word.size(), name.size());
    const std::size_t distance = longer - shorter > most ? most + 1 : edit_distance(word, name);
    return distance > most ? kOther : distance;
  };
  std::optional<std::string> best;
  std::size_t best_distance = kOther;
  for (const std::string& name : names) {
    const std::size_t distance = distance_to(name);
    if (distance >= best_distance) continue;
    best = name;
    best_distance = distance;
  }
  return best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& names, std::string_view before) {
  const std::optional<std::string> near = nearest(word, names);
  return near ? fmt::format("{}did you mean '{}'?", before, *near) : std::string();
}

}  // namespace winnow
