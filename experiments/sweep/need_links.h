// Which trial each name in a trial of the sweep stands for: `method.teacher: dense`. A trial is called by its `label`, or
// by its method's name where it has none. A name stands for the trial that is called so and has the same replicate; of
// several for the one that has this trial's values of those settings outside the method in which they differ. The
// identity of a trial holds the ids of what it needs, so identities are settled here, what is needed first. Mistakes are
// shown where the name is written. Linear in the number of trials and of names in them. Not shared between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "experiments/catalog.h"
#include "experiments/sweep/axes.h"
#include "experiments/sweep/diagnostics.h"
#include "experiments/trial_table.h"

namespace winnow {

// What a trial is called: its label, or its method where it has none.
std::string name_in_sweep(const TrialTable& trials, std::size_t at);

struct NeedReference {
  std::string method, role;  // "born_again", "teacher"
  std::string key;           // "method.teacher"
  Place place;               // of the name
  Point point;               // of the trial that gives it
};

// The settings of a resolved trial that name other trials: method, role and key of each.
std::vector<NeedReference> need_references(const Catalog& catalog, const Settings& settings);

class NeedLinks {
 public:
  // The dense trial that a reference to `dense` stands for where the sweep has no trial called so; of any replicate.
  using MakeDense = std::function<std::optional<TrialSpec>(const NeedReference& reference)>;
  using References = std::shared_ptr<const std::vector<NeedReference>>;  // null: none

  NeedLinks(Diagnostics& problems, MakeDense make_dense) : problems_(problems), make_dense_(std::move(make_dense)) {}

  // Trials of one configuration share references. One that is not `wanted` is in the sweep only if another needs it.
  void add(const TrialSpec& spec, References references, bool wanted);
  // `alias`: another label of a trial of this provisional name.
  void add_alias(const std::string& alias, const std::string& name) { aliases_.emplace_back(alias, name); }

  // Why a trial is in the sweep: it is wanted, another needs it, or another needs it and no axis gives it.
  enum class Why { Wanted, PulledIn, Made };
  // Gives the wanted trials in order, then those that they need; ids are final. Once.
  void link(const std::function<void(const TrialSpec& spec, Why why)>& take);

  // Trials that were looked at so far to find the one that a name stands for.
  std::size_t looked_at() const { return looked_at_; }

 private:
  enum class State : std::uint8_t { New, Active, Done };
  struct Item {  // its trial has the same place in trials_
    References references;
    Why why;
    bool needed = false;
    State state = State::New;
    std::string id = {};  // final
    std::vector<TrialNeed> needs = {};
  };
  // Trials of one name and replicate, told apart by the settings in which they differ.
  struct Group {
    std::vector<std::size_t> items;
    std::vector<std::string> keys = {};  // of those settings
    std::unordered_map<std::string, std::vector<std::size_t>> by_texts = {};
  };
  void settle(std::size_t at);
  std::optional<std::size_t> find(std::size_t of, const NeedReference& reference);
  std::optional<std::size_t> dense_of(std::size_t of, const NeedReference& reference);
  void tell_apart(Group& group);
  void say_nobody_is_called(const NeedReference& reference, const std::string& label);
  const std::string& text_of(std::size_t at, const std::string& key) const;  // empty: absent
  std::string texts_of(const Group& group, std::size_t at) const;            // of its keys
  std::string name_of_item(std::size_t at) const;
  TrialSpec linked(std::size_t at) const;
  void call(const std::string& label, std::size_t at) { called_[label][trials_.replicate(at)].items.push_back(at); }

  Diagnostics& problems_;
  MakeDense make_dense_;
  TrialTable trials_;
  std::vector<Item> items_;
  std::map<std::string, std::map<std::int64_t, Group>> called_;  // by name and replicate
  std::map<const NeedReference*, std::optional<TrialSpec>> dense_;
  std::map<std::string, std::size_t> made_;  // by provisional name
  std::vector<std::pair<std::string, std::string>> aliases_;
  std::vector<std::size_t> active_;  // what is being settled, each needed by the one before
  std::size_t looked_at_ = 0;
};

}  // namespace winnow
