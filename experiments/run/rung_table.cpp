#include "experiments/run/rung_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <utility>

#include "core/setting_text.h"

namespace winnow {

std::size_t bracket_of(const std::string& id, std::size_t rungs, std::int64_t eta) {
  std::vector<double> shares;
  double all = 0;
  for (std::size_t bracket = 0; bracket <= rungs; ++bracket) {
    const auto decides = static_cast<double>(rungs - bracket);
    all += std::ceil(static_cast<double>(rungs + 1) / (decides + 1) * std::pow(static_cast<double>(eta), decides));
    shares.push_back(all);
  }
  // The first 32 of the bits of a digest.
  const double place = static_cast<double>(std::strtoull(id.substr(0, 8).c_str(), nullptr, 16)) / 0x1p32;
  return static_cast<std::size_t>(std::ranges::upper_bound(shares, place * all) - shares.begin());
}

std::vector<Contestant> contestants(const StopRule& rule, const TrialTable& trials) {
  std::vector<Contestant> all;
  for (std::size_t at = 0; at < trials.size(); ++at) {
    Contestant one{.name = trials.name(at),
                   .group = {},
                   .rungs = {},
                   .epochs = parse_length(trials.text(at, "train.epochs")).value_or(Length{}).count};
    if (const std::string* every = trials.find(at, kEvalEvery)) one.eval_every = parse_integer(*every).value_or(1);
    one.rungs = rule.rungs(one.epochs);
    for (const std::string& key : rule.by) {
      const std::string* value = trials.find(at, key);
      one.group += fmt::format("{}{}={}", one.group.empty() ? "" : ", ", key, value == nullptr ? "" : *value);
    }
    if (rule.kind == StopRule::Kind::Hyperband && !one.rungs.empty()) {
      const std::size_t bracket = bracket_of(trials.id(at), one.rungs.size(), rule.eta);
      one.group += fmt::format("{}bracket {}", one.group.empty() ? "" : ", ", bracket);
      one.rungs.erase(one.rungs.begin(), one.rungs.begin() + static_cast<std::ptrdiff_t>(bracket));
    }
    all.push_back(std::move(one));
  }
  return all;
}

RungTable::RungTable(const StopRule& rule, std::vector<Contestant> contestants)
    : rule_(rule), contestants_(std::move(contestants)), states_(contestants_.size()) {
  std::map<std::string, std::size_t> numbers;
  for (std::size_t trial = 0; trial < contestants_.size(); ++trial) {
    const Contestant& one = contestants_[trial];
    const auto [known, is_new] = numbers.try_emplace(one.group, groups_.size());
    if (is_new) groups_.emplace_back();
    State& state = states_[trial];
    state.group = known->second;
    state.arrived.assign(one.rungs.size(), 0);
    state.settled = state.arrived;
    state.values.assign(one.rungs.size(), 0.0);
    state.means = state.values;
    Group& group = groups_[state.group];
    group.rungs.resize(std::max(group.rungs.size(), one.rungs.size()));
    if (!one.rungs.empty()) ++group.rungs[0].members;
  }
}

// What is decided about a rung can decide about those above it, too.
void RungTable::changed(std::size_t group, std::size_t rung) {
  for (std::size_t above = rung; above < groups_[group].rungs.size(); ++above)
    groups_[group].rungs[above].fresh = false;
}

void RungTable::promote(Step past) {
  State& state = states_[past.trial];
  for (; state.promoted <= past.rung; ++state.promoted) {
    Rung& place = rung({past.trial, state.promoted});
    // Of a rung that it is past nobody waits for its arrival, though the record of that be lost.
    if (!std::exchange(state.settled[state.promoted], char{1})) ++place.settled;
    const bool is_next = place.fresh && !place.candidates.empty() && place.candidates.back() == past.trial;
    if (is_next) place.candidates.pop_back();
    changed(state.group, state.promoted + (is_next ? 1 : 0));
    if (state.promoted + 1 < state.arrived.size()) ++rung({past.trial, state.promoted + 1}).members;
  }
}

void RungTable::settle(Step at) {
  State& state = states_[at.trial];
  if (!state.settled[at.rung]) ++rung(at).settled;
  state.settled[at.rung] = 1;
  changed(state.group, at.rung);
}

void RungTable::arrive(Step at, double value, double mean) {
  State& state = states_[at.trial];
  if (at.rung > 0) promote({at.trial, at.rung - 1});
  if (state.arrived[at.rung]) return;
  state.arrived[at.rung] = 1;
  state.values[at.rung] = value;
  state.means[at.rung] = mean;
  rung(at).arrived.push_back(at.trial);
  settle(at);
}

void RungTable::fail(Step at) {
  State& state = states_[at.trial];
  if (at.rung > 0) promote({at.trial, at.rung - 1});
  state.failed_at = std::max(state.failed_at.value_or(0), at.rung);
  if (at.rung < state.arrived.size()) settle(at);
}

bool RungTable::has_failed(std::size_t trial) const {
  const State& state = states_[trial];
  return state.failed_at == state.promoted &&
         (state.promoted == state.arrived.size() || !state.arrived[state.promoted]);
}

bool RungTable::is_better(Step a, Step b) const {
  const double first = states_[a.trial].values[a.rung], second = states_[b.trial].values[b.rung];
  if (first != second) return rule_.least_is_best() ? first < second : first > second;
  return contestants_[a.trial].name < contestants_[b.trial].name;
}

// Nobody can come to it any more.
bool RungTable::is_complete(const Group& group, std::size_t at) const {
  for (std::size_t below = 0; below <= at; ++below) {
    const Rung& one = group.rungs[below];
    if (one.settled < one.members) return false;
    if (below < at && (!one.fresh || !one.candidates.empty())) return false;
  }
  return true;
}

// Those below it are decided about already.
void RungTable::choose(Group& group, std::size_t at) {
  Rung& place = group.rungs[at];
  place.fresh = true;
  const std::vector<std::size_t> best =
      rule_.kind == StopRule::Kind::Median ? good_enough(place, at) : best_of(group, at);
  place.candidates.assign(best.rbegin(), best.rend());
}

// Of those that have come, and behind them of those that never came, as the worst.
std::vector<Standing> RungTable::standings(const Rung& place, std::size_t at) const {
  std::vector<Standing> all;
  for (const std::size_t trial : place.arrived) all.push_back({states_[trial].values[at], states_[trial].means[at]});
  all.resize(place.settled, Standing{});
  return all;
}

// Those that do not fare worse than the median of what has come, and are not past it, the best first.
std::vector<std::size_t> RungTable::good_enough(const Rung& place, std::size_t at) const {
  const std::vector<char> stays =
      stopped_by_median(standings(place, at), rule_.least_is_best(), static_cast<std::size_t>(rule_.trials));
  std::vector<std::size_t> go_on;
  for (std::size_t i = 0; i < place.arrived.size(); ++i) {
    if (stays[i] == 0 && states_[place.arrived[i]].promoted <= at) go_on.push_back(place.arrived[i]);
  }
  std::ranges::sort(go_on, [&](std::size_t a, std::size_t b) { return is_better({a, at}, {b, at}); });
  return go_on;
}

// One of `eta`, without those that are past it, the best first.
std::vector<std::size_t> RungTable::best_of(const Group& group, std::size_t at) {
  const Rung& place = group.rungs[at];
  const bool complete = is_complete(group, at);
  if (!complete && rule_.kind != StopRule::Kind::Asha) return {};
  std::size_t most = place.settled / static_cast<std::size_t>(rule_.eta);
  if (complete) most = std::max<std::size_t>(most, 1);  // some trial of each group is trained to its end
  std::vector<std::size_t> best;
  std::ranges::copy_if(place.arrived, std::back_inserter(best),
                       [&](std::size_t trial) { return !std::isnan(states_[trial].values[at]); });
  std::ranges::sort(best, [&](std::size_t a, std::size_t b) { return is_better({a, at}, {b, at}); });
  best.resize(std::min(best.size(), most));
  const auto is_past = [&](std::size_t trial) { return states_[trial].promoted > at; };
  // Where a rung is decided about as a whole, those who come later than that (after a failure, in a wider sweep) find only the
  // places that are left.
  const auto number = static_cast<std::size_t>(&group - groups_.data());
  const auto past = static_cast<std::size_t>(
      std::ranges::count_if(states_, [&](const State& state) { return state.group == number && state.promoted > at; }));
  std::erase_if(best, is_past);
  if (rule_.kind != StopRule::Kind::Asha) best.resize(std::min(best.size(), most - std::min(most, past)));
  return best;
}

std::optional<RungTable::Step> RungTable::next() {
  std::optional<Step> found;
  for (Group& group : groups_) {
    for (std::size_t at = 0; at < group.rungs.size(); ++at) {
      Rung& place = group.rungs[at];
      if (!place.fresh) choose(group, at);
      if (!place.candidates.empty() && (!found || at > found->rung)) found = Step{place.candidates.back(), at};
    }
  }
  return found;
}

bool RungTable::stays(Step at) const {
  const State& state = states_[at.trial];
  if (!state.arrived[at.rung] || state.promoted != at.rung || state.finished) return false;
  const bool at_once = rule_.kind == StopRule::Kind::Asha || rule_.kind == StopRule::Kind::Median;
  const Group& group = groups_[state.group];
  return group.rungs[at.rung].candidates.empty() && (at_once || is_complete(group, at.rung));
}

RungDecision RungTable::decision(Step at, bool promoted) const {
  const Rung& place = groups_[states_[at.trial].group].rungs[at.rung];
  const double value = states_[at.trial].values[at.rung];
  RungDecision found{.trial = at.trial,
                     .promoted = promoted,
                     .rung = contestants_[at.trial].rungs[at.rung],
                     .value = std::isfinite(value) ? std::optional(value) : std::nullopt,
                     .of = place.settled};
  if (!promoted) return found;
  found.place = 1 + std::ranges::count_if(place.arrived, [&](std::size_t other) {
                  return other != at.trial && is_better({other, at.rung}, at);
                });
  if (rule_.kind == StopRule::Kind::Median) {
    found.median =
        median_of_means(standings(place, at.rung), rule_.least_is_best(), static_cast<std::size_t>(rule_.trials));
  }
  return found;
}

std::optional<std::size_t> RungTable::target(std::size_t trial) const {
  const State& state = states_[trial];
  return state.promoted < state.arrived.size() ? std::optional(state.promoted) : std::nullopt;
}

bool RungTable::is_due(std::size_t trial) const {
  const State& state = states_[trial];
  if (state.finished || state.left_out || has_failed(trial)) return false;
  return state.promoted == state.arrived.size() || !state.arrived[state.promoted];
}

bool RungTable::waits() const {
  if (rule_.kind == StopRule::Kind::Asha) return false;  // who arrives takes up what that decides
  return std::ranges::any_of(states_, [](const State& state) {
    return state.promoted < state.settled.size() && !state.settled[state.promoted] && !state.finished &&
           !state.left_out;
  });
}

}  // namespace winnow
