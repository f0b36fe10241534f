#include "experiments/trial_table.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"

namespace winnow {

TrialTable::TrialTable(std::span<const TrialSpec> trials) {
  for (const TrialSpec& spec : trials) add(spec);
}

TrialTable::Id TrialTable::packed_id(std::string_view id) {
  Id packed{};
  if (id.size() > packed.size()) fail(ErrorKind::Internal, "a trial's identity has {} digits", id.size());
  std::ranges::copy(id, packed.begin());
  return packed;
}

std::string TrialTable::id_of(const Id& id) { return {id.begin(), std::ranges::find(id, '\0')}; }

void TrialTable::add(const TrialSpec& spec) {
  const auto setup = static_cast<Index>(setups_.size());
  settings_.add(spec.settings, texts_);
  identities_.add(spec.identity, texts_);
  setups_.push_back({packed_id(spec.id), spec.ranks});
  add_trial(setup, spec.replicate, spec.needs);
}

void TrialTable::add(Index like, std::int64_t replicate, std::span<const TrialNeed> needs) {
  add_trial(trials_.at(like).setup, replicate, needs);
}

void TrialTable::add_trial(Index setup, std::int64_t replicate, std::span<const TrialNeed> needs) {
  for (const TrialNeed& need : needs) {
    // "<id>-r<replicate>"
    const std::size_t dash = need.trial.rfind("-r");
    std::uint32_t number = 0;
    const char* last = need.trial.data() + need.trial.size();
    if (dash == std::string::npos || std::from_chars(need.trial.data() + dash + 2, last, number).ptr != last) {
      fail(ErrorKind::Internal, "'{}' is no name of a trial", need.trial);
    }
    needs_.push_back({texts_.id_of(need.method), texts_.id_of(need.role), texts_.id_of(need.key),
                      packed_id(std::string_view(need.trial).substr(0, dash)), number});
  }
  trials_.push_back({setup, static_cast<std::uint32_t>(replicate), static_cast<std::uint32_t>(needs_.size())});
}

TrialSpec TrialTable::operator[](std::size_t at) const {
  const Setup& setup = setups_[trials_[at].setup];
  return {.id = id_of(setup.id),
          .replicate = replicate(at),
          .identity = identities_.settings(trials_[at].setup, texts_),
          .settings = settings_.settings(trials_[at].setup, texts_),
          .ranks = setup.ranks,
          .needs = needs(at)};
}

TrialSpec TrialTable::at(std::size_t at) const {
  if (at >= size()) fail(ErrorKind::Internal, "trial {} of {} is asked for", at, size());
  return (*this)[at];
}

std::unordered_map<std::string, std::size_t> TrialTable::positions() const {
  std::unordered_map<std::string, std::size_t> by_name;
  by_name.reserve(size());
  for (std::size_t at = 0; at < size(); ++at) by_name.emplace(name(at), at);
  return by_name;
}

std::string TrialTable::name(std::size_t at) const { return id(at) + "-r" + std::to_string(replicate(at)); }

std::span<const TrialTable::Need> TrialTable::needs_of(std::size_t at) const {
  const std::size_t begin = at == 0 ? 0 : trials_[at - 1].needs_end;
  return std::span(needs_).subspan(begin, trials_[at].needs_end - begin);
}

std::vector<TrialNeed> TrialTable::needs(std::size_t at) const {
  std::vector<TrialNeed> needs;
  for (const Need& need : needs_of(at)) {
    needs.push_back({texts_[need.method], texts_[need.role], texts_[need.key],
                     id_of(need.id) + "-r" + std::to_string(need.replicate)});
  }
  return needs;
}

const std::string* TrialTable::find(std::size_t at, std::string_view key) const {
  return settings_.find(trials_[at].setup, key, texts_);
}

const std::string& TrialTable::text(std::size_t at, std::string_view key) const {
  const std::string* found = find(at, key);
  if (found == nullptr) fail(ErrorKind::Settings, "setting '{}' is not given", key);
  return *found;
}

std::vector<Settings> TrialTable::distinct_below(const std::string& section,
                                                 const std::function<bool(std::size_t at)>& wanted) const {
  std::vector<char> rows(setups_.size(), 0);
  for (std::size_t at = 0; at < size(); ++at) {
    if (wanted(at)) rows[setup(at)] = 1;
  }
  std::vector<Settings> found;
  for (const SettingsTable::Row row : settings_.distinct(section + ".", rows, texts_)) {
    found.push_back(settings_.settings(row, texts_).below(section));
  }
  return found;
}

Settings TrialTable::identity(std::size_t at) const { return identities_.settings(trials_[at].setup, texts_); }

}  // namespace winnow
