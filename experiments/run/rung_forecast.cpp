#include "experiments/run/rung_forecast.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "experiments/run/rung_table.h"

namespace winnow {
namespace {

// Of those that come to a rung, `come` at least and `most` at most.
std::size_t least_that_go_on(const StopRule& rule, std::size_t come, std::size_t most) {
  if (rule.kind != StopRule::Kind::Median) {
    return come == 0 ? 0 : std::max<std::size_t>(come / static_cast<std::size_t>(rule.eta), 1);
  }
  const auto judged = static_cast<std::size_t>(rule.trials);
  if (come >= judged) return (come + 1) / 2;
  // All of so few go on, but where some more come it may be half of them.
  return most < judged ? come : std::min(come, (judged + 1) / 2);
}

// Epochs after which it is judged at this rung, or ends.
std::int64_t end_of_leg(const Contestant& one, std::size_t rung) {
  return rung < one.rungs.size() ? std::min(judged_after(one.rungs[rung], one.eval_every), one.epochs) : one.epochs;
}

void add_group(const StopRule& rule, std::vector<Contestant> group, std::vector<RungForecast::Rung>& rungs,
               RungForecast& found) {
  const auto course = [](const Contestant& one) { return std::pair(one.epochs, one.eval_every); };
  found.exact = found.exact &&
                std::ranges::all_of(group, [&](const Contestant& one) { return course(one) == course(group.front()); });
  for (const Contestant& one : group) {
    found.full += static_cast<double>(one.epochs);
    found.epochs += static_cast<double>(end_of_leg(one, 0));
    found.finished += one.rungs.empty() ? 1 : 0;
  }
  // Those that can come to a rung stand before those that cannot.
  std::ranges::sort(group, std::greater(), [](const Contestant& one) { return one.rungs.size(); });
  const auto with_rung = [&](std::size_t rung) {
    const auto end = std::ranges::partition_point(group, [&](const auto& one) { return one.rungs.size() > rung; });
    return static_cast<std::size_t>(end - group.begin());
  };
  std::size_t come = with_rung(0);
  for (std::size_t rung = 0, most = come; most > 0; ++rung) {
    const std::size_t go_on = least_that_go_on(rule, come, most), most_above = with_rung(rung + 1);
    rungs.push_back({.epochs = group.front().rungs[rung], .trials = come, .go_on = go_on});
    // Which ones go on is not known: those with the shortest way.
    std::vector<std::int64_t> ways;
    for (std::size_t i = 0; i < most; ++i) ways.push_back(end_of_leg(group[i], rung + 1) - end_of_leg(group[i], rung));
    std::ranges::sort(ways);
    found.epochs += static_cast<double>(
        std::accumulate(ways.begin(), ways.begin() + static_cast<std::ptrdiff_t>(go_on), std::int64_t{0}));
    found.finished += go_on - std::min(go_on, most_above);
    come = go_on - std::min(go_on, most - most_above);
    most = most_above;
  }
}

}  // namespace

RungForecast forecast(const StopRule& rule, const TrialTable& trials) {
  std::map<std::string, std::vector<Contestant>> groups;
  for (Contestant& one : contestants(rule, trials)) groups[one.group].push_back(std::move(one));
  RungForecast found;
  found.exact = rule.kind == StopRule::Kind::Halving || rule.kind == StopRule::Kind::Hyperband;
  for (auto& [group, members] : groups) add_group(rule, std::move(members), found.groups[group], found);
  return found;
}

}  // namespace winnow
