// From a point of the axes and the settings of the file to a trial: every key checked against the
// schema of whoever reads it, defaults filled in, identity computed. Remembers which keys of the
// trial section were read by nobody. Not shared between threads; the catalog and the entries must outlive it.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "experiments/catalog.h"
#include "experiments/sweep/axes.h"
#include "experiments/sweep/settings_pool.h"
#include "experiments/sweep/sweep.h"
#include "experiments/trial.h"

namespace winnow {

struct FoundProblem {
  Place place;
  std::string text, hint;
  bool missing = false;  // something absent, perhaps only because another part could not be read
};

struct ResolvedTrial {
  TrialSpec spec;  // complete if there are no problems, else as far as it got
  std::vector<FoundProblem> problems;
  // What the trial section gives and this trial does not read, because of another of its settings or components.
  struct Unread {
    const Entry* entry;
    std::string why;  // "it is when train.optimizer is sgd", "method 'slimming' overrides it"
  };
  std::vector<Unread> unread;
};

// The setting that a resolved trial's `key` belongs to; nothing for names of components and unread keys.
const Setting* setting_of(const Catalog& catalog, const Settings& trial, std::string_view key);
// Every setting of the catalog that has this full key; "method.with.<name>.<key>" is looked up in that method.
std::vector<const Setting*> settings_named(const Catalog& catalog, std::string_view key);

class TrialResolver {
 public:
  // `missing_place` is where the absence of a required name is reported.
  TrialResolver(const Catalog& catalog, const std::vector<Entry>& base, Place missing_place, PathContent content);

  // The reference is good until the next call.
  const ResolvedTrial& resolve(const Point& point);
  // Where a problem with `key` of this trial is to be shown.
  Place place_of(const Point& point, const std::string& key) const;
  // Where the value of `key` is given; without a source if it is not.
  Place given_place(const Point& point, const std::string& key) const;

  void tolerate_unread(const std::string& key) { tolerated_.insert(key); }
  // Keys of the trial section that no resolved trial reads. `only_unknown` leaves out those that
  // some component of the catalog would read.
  std::vector<FoundProblem> unread(bool only_unknown) const;

 private:
  struct Given {
    const Entry* entry;
    bool from_base;
  };
  using Overridden = std::map<std::string, std::string>;  // full keys, and who overrides each, in words
  struct Checked {
    Settings own;                 // without the prefix
    Settings settings, identity;  // with the prefix
    std::vector<SettingProblem> problems;
    std::vector<const Setting*> unread;  // given ones
    Schema schema;                       // where some of it is overridden
  };
  struct Group {  // the part of a trial that one component reads
    const Schema* schema = nullptr;
    const std::vector<Override>* overrides = nullptr;
    std::string prefix;                                     // "method."
    std::string reader;                                     // "snip"; empty for the trial itself
    Place place;                                            // of the component's name, where missing keys are reported
    std::vector<std::pair<std::string, Given>> given = {};  // keys without the prefix
    Settings settings = {};                                 // of those the ones in the schema
    const Checked* checked = nullptr;
  };
  using GivenMap = std::map<std::string_view, Given>;

  GivenMap overlay(const Point& point) const;
  const Component* pick(const std::string& kind, const std::vector<Component>& all, const GivenMap& given,
                        ResolvedTrial& trial) const;
  void add_component(const Component& component, const std::string& prefix, Place place,
                     std::map<std::string, Group>& groups, ResolvedTrial& trial) const;
  void add_composed(const GivenMap& given, const Component* method, std::map<std::string, Group>& groups,
                    ResolvedTrial& trial);
  ResolvedTrial resolved(const Point& point);
  void check(Group& group, ResolvedTrial& trial);
  static Overridden overridden(const std::map<std::string, Group>& groups);
  void add_checked(const Group& group, ResolvedTrial& trial) const;
  void report_unread(const Group& group, ResolvedTrial& trial) const;
  const Checked& checked(const Group& group, const Overridden& by_key = {});
  std::string identity_text(const Setting& setting, const std::string& text, Checked& result);
  const FoundProblem& unknown(const Entry& entry, const std::string& reader);
  std::optional<FoundProblem> unknown_section(const Entry& entry, const std::string& section) const;
  FoundProblem describe_unread(const Entry& entry, const std::string& reader) const;

  const Catalog& catalog_;
  const std::vector<Entry>& base_;
  GivenMap base_given_;
  Place missing_place_;
  PathContent content_;
  std::map<std::string, std::string> contents_;  // of paths seen so far; a file can be large
  std::set<const Entry*> read_;
  std::set<std::string> tolerated_;
  std::unordered_map<std::string, Checked> memo_;
  SettingsPool settings_, identities_;  // what trials have in common is stored once
  Point last_point_;                    // whose trial is last_; replicates follow each other
  std::optional<ResolvedTrial> last_;
  std::map<std::pair<const Entry*, std::string>, FoundProblem> unknown_;
};

}  // namespace winnow
