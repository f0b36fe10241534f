// Which trial each name in a trial of the sweep stands for: `method.teacher: dense`. A trial is called by its `label`, or
// by its method's name where it has none. A name stands for the trial that is called so and has the same replicate; of
// several for the one that has this trial's values of those settings outside the method in which they differ. The
// identity of a trial holds the ids of what it needs, so identities are settled here, what is needed first. Mistakes are
// shown where the name is written. Not shared between threads.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/catalog.h"
#include "experiments/sweep/axes.h"
#include "experiments/sweep/diagnostics.h"
#include "experiments/trial.h"

namespace winnow {

// What a trial of these settings is called: its label, or its method where it has none.
std::string name_in_sweep(const Settings& settings);

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
  // The dense trial that a reference to `dense` stands for where the sweep has no trial called so.
  using MakeDense = std::function<std::optional<TrialSpec>(const TrialSpec& of, const NeedReference& reference)>;

  NeedLinks(Diagnostics& problems, MakeDense make_dense) : problems_(problems), make_dense_(std::move(make_dense)) {}

  // Trials of one configuration share references. One that is not `wanted` is in the sweep only if another needs it.
  void add(TrialSpec spec, std::vector<NeedReference> references, bool wanted);
  // `alias`: another label of a trial of this provisional name.
  void add_alias(const std::string& alias, const std::string& name) { aliases_.emplace_back(alias, name); }

  struct Linked {
    std::vector<TrialSpec> trials;  // the wanted ones in order, then those that they need; ids are final
    std::size_t pulled_in = 0;      // not wanted, but needed
    std::size_t made = 0;           // dense ones that no axis gives
  };
  Linked link();

 private:
  enum class State { New, Active, Done };
  struct Item {
    TrialSpec spec;
    std::vector<NeedReference> references;
    bool wanted = false, made = false, needed = false;
    State state = State::New;
  };
  void settle(std::size_t at);
  std::optional<std::size_t> find(std::size_t of, const NeedReference& reference);
  std::optional<std::size_t> dense_of(std::size_t of, const NeedReference& reference);
  void called(const std::string& label, std::size_t at) { called_[label].push_back(at); }

  Diagnostics& problems_;
  MakeDense make_dense_;
  std::vector<Item> items_;
  std::map<std::string, std::vector<std::size_t>> called_;
  std::map<std::string, std::size_t> made_;  // by provisional name
  std::vector<std::pair<std::string, std::string>> aliases_;
  std::vector<std::size_t> active_;  // what is being settled, each needed by the one before
};

}  // namespace winnow
