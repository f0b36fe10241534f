#include "experiments/sweep/need_links.h"

#include <algorithm>
#include <set>

#include "experiments/sweep/identity.h"

namespace winnow {
namespace {

// What tells trials of one name apart: all but the method, the name, what is saved and where it is trained.
bool tells_apart(std::string_view key) {
  return !key.starts_with("method.") && !key.starts_with("save.") && key != "label" && key != "ranks" &&
         !is_of_the_device(key);
}

void add_references(const Component& component, const Settings& settings, const std::string& prefix,
                    std::vector<NeedReference>& found) {
  for (const Setting& setting : component.schema) {
    if (setting.kind != Setting::Kind::Trial || !settings.has(prefix + setting.key)) continue;
    if (!is_read(component.schema, setting, settings.below(prefix.substr(0, prefix.size() - 1)))) continue;
    found.push_back({component.name, setting.key, prefix + setting.key, {}, {}});
  }
}

}  // namespace

std::string name_in_sweep(const TrialTable& trials, std::size_t at) {
  const std::string* label = trials.find(at, "label");
  return label == nullptr || label->empty() ? trials.text(at, "method.name") : *label;
}

std::vector<NeedReference> need_references(const Catalog& catalog, const Settings& settings) {
  std::vector<NeedReference> found;
  for (const Component& component : catalog.methods) {
    const bool any = std::ranges::any_of(component.schema,
                                         [](const Setting& setting) { return setting.kind == Setting::Kind::Trial; });
    if (!any) continue;
    const std::string with = std::string(kWith) + "." + component.name;
    if (settings.text("method.name") == component.name) add_references(component, settings, "method.", found);
    if (settings.has(with)) add_references(component, settings, with + ".", found);
  }
  return found;
}

void NeedLinks::add(const TrialSpec& spec, References references, bool wanted) {
  trials_.add(spec);
  items_.push_back({std::move(references), wanted ? Why::Wanted : Why::PulledIn});
  call(name_in_sweep(trials_, items_.size() - 1), items_.size() - 1);
}

std::string NeedLinks::name_of_item(std::size_t at) const {
  return items_[at].id + "-r" + std::to_string(trials_.replicate(at));
}

void NeedLinks::link(const std::function<void(const TrialSpec& spec, Why why)>& take) {
  std::map<std::string, std::size_t> by_name;
  for (std::size_t at = 0; at < items_.size() && !aliases_.empty(); ++at) by_name[trials_.name(at)] = at;
  std::set<std::pair<std::string, std::size_t>> known;
  for (const auto& [alias, name] : aliases_) {
    const auto found = by_name.find(name);
    if (found == by_name.end() || name_in_sweep(trials_, found->second) == alias) continue;
    if (known.emplace(alias, found->second).second) call(alias, found->second);
  }
  const std::size_t given = items_.size();
  for (std::size_t at = 0; at < given; ++at) {
    if (items_[at].why == Why::Wanted) settle(at);
  }
  for (const bool wanted : {true, false}) {
    for (std::size_t at = 0; at < items_.size(); ++at) {
      const Item& item = items_[at];
      if ((item.why == Why::Wanted) != wanted || (!wanted && !item.needed)) continue;
      take(linked(at), item.why);
    }
  }
}

// The trial with the ids of what it needs in its identity.
TrialSpec NeedLinks::linked(std::size_t at) const {
  TrialSpec spec = trials_[at];
  spec.id = items_[at].id;
  spec.needs = items_[at].needs;
  for (const TrialNeed& need : spec.needs) spec.identity.set(need.key, need.trial.substr(0, need.trial.rfind("-r")));
  return spec;
}

// Settles what the trial needs, and then its identity.
void NeedLinks::settle(std::size_t at) {
  if (items_[at].state != State::New) return;
  items_[at].state = State::Active;
  active_.push_back(at);
  const References references = items_[at].references;
  std::vector<TrialNeed> needs;
  for (std::size_t i = 0; references != nullptr && i < references->size(); ++i) {
    const NeedReference& reference = (*references)[i];
    const std::optional<std::size_t> found = find(at, reference);
    if (!found) continue;
    if (items_[*found].state == State::Active) {
      std::vector<std::string> ring;
      for (auto one = std::ranges::find(active_, *found); one != active_.end(); ++one)
        ring.push_back(name_in_sweep(trials_, *one));
      ring.push_back(ring.front());
      problems_.error(reference.place,
                      fmt::format("'{}' makes a ring of trials that need each other: {}", reference.key,
                                  fmt::join(ring, " needs ")),
                      "give another trial's name, or the trials labels of their own");
      continue;
    }
    settle(*found);
    items_[*found].needed = true;
    needs.push_back({reference.method, reference.role, reference.key, name_of_item(*found)});
  }
  Item& item = items_[at];
  item.needs = std::move(needs);
  item.id = references == nullptr ? trials_.id(at) : trial_id(linked(at).canonical());
  active_.pop_back();
  item.state = State::Done;
}

// Finds the settings in which not all of the group agree, and sorts it by them.
void NeedLinks::tell_apart(Group& group) {
  if (!group.by_texts.empty()) return;
  std::set<std::string> keys;
  for (const std::size_t at : group.items) {
    ++looked_at_;
    for (const auto& [key, text] : trials_[at].settings.values()) {
      if (tells_apart(key)) keys.insert(key);
    }
  }
  for (const std::string& key : keys) {
    const std::string& first = text_of(group.items.front(), key);
    const bool differs = std::ranges::any_of(group.items, [&](std::size_t at) { return text_of(at, key) != first; });
    if (differs) group.keys.push_back(key);
  }
  for (const std::size_t at : group.items) group.by_texts[texts_of(group, at)].push_back(at);
}

const std::string& NeedLinks::text_of(std::size_t at, const std::string& key) const {
  static const std::string kNone;
  const std::string* text = trials_.find(at, key);
  return text == nullptr ? kNone : *text;
}

std::string NeedLinks::texts_of(const Group& group, std::size_t at) const {
  std::string texts;
  for (const std::string& key : group.keys) texts += text_of(at, key) + '\n';
  return texts;
}

std::optional<std::size_t> NeedLinks::find(std::size_t of, const NeedReference& reference) {
  const std::string& label = trials_.text(of, reference.key);
  const auto same_name = called_.find(label);
  if (same_name == called_.end()) {
    if (label == "dense") return dense_of(of, reference);
    say_nobody_is_called(reference, label);
    return std::nullopt;
  }
  const auto same_replicate = same_name->second.find(trials_.replicate(of));
  if (same_replicate == same_name->second.end()) {
    problems_.error(reference.place, fmt::format("'{}': no trial called '{}' is replicate {}", reference.key, label,
                                                 trials_.replicate(of)));
    return std::nullopt;
  }
  Group& group = same_replicate->second;
  ++looked_at_;
  if (group.items.size() == 1) return group.items.front();
  tell_apart(group);
  const auto found = group.by_texts.find(texts_of(group, of));
  if (found == group.by_texts.end()) {
    const std::size_t last = group.items.back();
    const auto differs = std::ranges::find_if(
        group.keys, [&](const std::string& key) { return text_of(last, key) != text_of(of, key); });
    problems_.error(reference.place, fmt::format("'{}': no trial called '{}' has the same settings outside the method; "
                                                 "one differs in '{}'",
                                                 reference.key, label, *differs));
    return std::nullopt;
  }
  if (found->second.size() == 1) return found->second.front();
  problems_.error(reference.place,
                  fmt::format("'{}': {} trials are called '{}' and have the same settings outside the method",
                              reference.key, found->second.size(), label),
                  "give the one that is meant a label of its own: label: NAME");
  return std::nullopt;
}

void NeedLinks::say_nobody_is_called(const NeedReference& reference, const std::string& label) {
  std::vector<std::string> names = {"dense"};
  for (const auto& [name, trials] : called_) names.push_back(name);
  std::string hint = did_you_mean(label, names);
  if (hint.empty()) hint = fmt::format("a trial is called by its label, or by its method: {}", fmt::join(names, ", "));
  problems_.error(reference.place, fmt::format("'{}': no trial of this sweep is called '{}'", reference.key, label),
                  std::move(hint));
}

std::optional<std::size_t> NeedLinks::dense_of(std::size_t of, const NeedReference& reference) {
  const auto [made, is_first] = dense_.try_emplace(&reference);
  if (is_first) made->second = make_dense_(reference);
  if (!made->second) return std::nullopt;
  TrialSpec spec = *made->second;
  spec.replicate = trials_.replicate(of);
  const auto [known, is_new] = made_.try_emplace(spec.name(), items_.size());
  if (is_new) {
    trials_.add(spec);
    items_.push_back({nullptr, Why::Made});
  }
  return known->second;
}

}  // namespace winnow
