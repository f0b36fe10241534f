#include "experiments/sweep/need_links.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "experiments/sweep/identity.h"

namespace winnow {
namespace {

// What tells trials of one name apart: all but the method, the name and what is saved.
bool tells_apart(std::string_view key) {
  return !key.starts_with("method.") && !key.starts_with("save.") && key != "label" && key != "ranks";
}

// Of these settings those in which not all of the trials agree.
std::set<std::string> differing(const std::vector<const Settings*>& trials) {
  std::set<std::string> all, found;
  for (const Settings* trial : trials) {
    for (const auto& [key, text] : trial->values()) {
      if (tells_apart(key)) all.insert(key);
    }
  }
  const auto text_of = [](const Settings& trial, const std::string& key) {
    const std::string* text = trial.find(key);
    return text == nullptr ? std::string() : *text;
  };
  std::ranges::copy_if(all, std::inserter(found, found.end()), [&](const std::string& key) {
    const std::string first = text_of(*trials.front(), key);
    return std::ranges::any_of(trials, [&](const Settings* trial) { return text_of(*trial, key) != first; });
  });
  return found;
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

std::string name_in_sweep(const Settings& settings) {
  const std::string* label = settings.find("label");
  return label == nullptr || label->empty() ? settings.text("method.name") : *label;
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

void NeedLinks::add(TrialSpec spec, std::vector<NeedReference> references, bool wanted) {
  called(name_in_sweep(spec.settings), items_.size());
  items_.push_back({std::move(spec), std::move(references), wanted});
}

NeedLinks::Linked NeedLinks::link() {
  std::map<std::string, std::size_t> by_name;
  for (std::size_t at = 0; at < items_.size() && !aliases_.empty(); ++at) by_name[items_[at].spec.name()] = at;
  for (const auto& [alias, name] : aliases_) {
    if (const auto found = by_name.find(name); found != by_name.end()) called(alias, found->second);
  }
  const std::size_t given = items_.size();
  for (std::size_t at = 0; at < given; ++at) {
    if (items_[at].wanted) settle(at);
  }
  Linked linked;
  for (const bool wanted : {true, false}) {
    for (Item& item : items_) {
      if (item.wanted != wanted || (!wanted && !item.needed)) continue;
      linked.made += item.made ? 1 : 0;
      linked.pulled_in += !wanted && !item.made ? 1 : 0;
      linked.trials.push_back(std::move(item.spec));
    }
  }
  return linked;
}

// Settles what the trial needs, and then its identity.
void NeedLinks::settle(std::size_t at) {
  if (items_[at].state != State::New) return;
  items_[at].state = State::Active;
  active_.push_back(at);
  const std::vector<NeedReference> references = items_[at].references;
  for (const NeedReference& reference : references) {
    const std::optional<std::size_t> found = find(at, reference);
    if (!found) continue;
    if (items_[*found].state == State::Active) {
      std::vector<std::string> ring;
      for (auto one = std::ranges::find(active_, *found); one != active_.end(); ++one) {
        ring.push_back(name_in_sweep(items_[*one].spec.settings));
      }
      ring.push_back(ring.front());
      problems_.error(reference.place,
                      fmt::format("'{}' makes a ring of trials that need each other: {}", reference.key,
                                  fmt::join(ring, " needs ")),
                      "give another trial's name, or the trials labels of their own");
      continue;
    }
    settle(*found);
    items_[*found].needed = true;
    TrialSpec& spec = items_[at].spec;
    spec.needs.push_back({reference.method, reference.role, reference.key, items_[*found].spec.name()});
    spec.identity.set(reference.key, items_[*found].spec.id);
  }
  TrialSpec& spec = items_[at].spec;
  if (!references.empty()) spec.id = trial_id(spec.canonical());
  active_.pop_back();
  items_[at].state = State::Done;
}

std::optional<std::size_t> NeedLinks::find(std::size_t of, const NeedReference& reference) {
  const std::string label = items_[of].spec.settings.text(reference.key);
  std::vector<std::size_t> same_name, found;
  if (const auto known = called_.find(label); known != called_.end()) same_name = known->second;
  for (const std::size_t at : same_name) {
    if (items_[at].spec.replicate == items_[of].spec.replicate) found.push_back(at);
  }
  std::string differs;
  if (found.size() > 1) {
    std::vector<const Settings*> candidates;
    for (const std::size_t at : found) candidates.push_back(&items_[at].spec.settings);
    const std::set<std::string> keys = differing(candidates);
    std::erase_if(found, [&](std::size_t at) {
      const std::set<std::string> own = differing({&items_[of].spec.settings, &items_[at].spec.settings});
      const auto key = std::ranges::find_if(keys, [&](const std::string& each) { return own.contains(each); });
      if (key != keys.end()) differs = *key;
      return key != keys.end();
    });
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1) {
    problems_.error(reference.place,
                    fmt::format("'{}': {} trials are called '{}' and have the same settings outside the method",
                                reference.key, found.size(), label),
                    "give the one that is meant a label of its own: label: NAME");
    return std::nullopt;
  }
  if (!differs.empty()) {
    problems_.error(reference.place, fmt::format("'{}': no trial called '{}' has the same settings outside the method; "
                                                 "one differs in '{}'",
                                                 reference.key, label, differs));
    return std::nullopt;
  }
  if (!same_name.empty()) {
    problems_.error(reference.place, fmt::format("'{}': no trial called '{}' is replicate {}", reference.key, label,
                                                 items_[of].spec.replicate));
    return std::nullopt;
  }
  if (label == "dense") return dense_of(of, reference);
  std::vector<std::string> names = {"dense"};
  for (const auto& [name, trials] : called_) names.push_back(name);
  const auto near = nearest(label, names);
  problems_.error(reference.place, fmt::format("'{}': no trial of this sweep is called '{}'", reference.key, label),
                  near ? fmt::format("did you mean '{}'?", *near)
                       : fmt::format("a trial is called by its label, or by its method: {}", fmt::join(names, ", ")));
  return std::nullopt;
}

std::optional<std::size_t> NeedLinks::dense_of(std::size_t of, const NeedReference& reference) {
  std::optional<TrialSpec> spec = make_dense_(items_[of].spec, reference);
  if (!spec) return std::nullopt;
  const auto [known, is_new] = made_.try_emplace(spec->name(), items_.size());
  if (is_new) {
    items_.push_back({std::move(*spec), {}, false});
    items_.back().made = true;
  }
  return known->second;
}

}  // namespace winnow
