// From a point of the axes and the settings of the file to a trial: every key checked against the
// schema of whoever reads it, defaults filled in, identity computed. Remembers which keys of the
// trial section were read by nobody. Not shared between threads; the catalog and the entries must outlive it.
#pragma once

#include <boost/container/flat_map.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "experiments/catalog.h"
#include "experiments/sweep/axes.h"
#include "experiments/sweep/catalog_keys.h"
#include "experiments/sweep/sweep.h"
#include "experiments/sweep/unknown_keys.h"
#include "experiments/trial.h"

namespace winnow {

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
  // Of the paths in identities: what stands for each.
  const std::map<std::string, std::string>& contents() const { return contents_; }
  // Keys of the trial section that no resolved trial reads. `only_unknown` leaves out those that
  // some component of the catalog would read.
  std::vector<FoundProblem> unread(bool only_unknown);

 private:
  struct Given {
    const Entry* entry;
    bool from_base;
  };
  using KeyText = std::pair<std::string, std::string>;
  struct Checked {
    Settings own;                             // without the prefix
    std::vector<KeyText> settings, identity;  // with the prefix
    std::vector<SettingProblem> problems;
    std::vector<const Setting*> unread;  // given ones
    Schema schema;                       // where some of it is overridden
  };
  using CheckedPtr = std::shared_ptr<const Checked>;
  struct Group {  // the part of a trial that one component reads
    const Schema* schema = nullptr;
    const std::vector<Override>* overrides = nullptr;
    std::string prefix;                                     // "method."
    std::string reader;                                     // "snip"; empty for the trial itself
    Place place;                                            // of the component's name, where missing keys are reported
    std::vector<std::pair<std::string, Given>> given = {};  // keys without the prefix
    std::string memo_key = {};                              // of what is given
    CheckedPtr checked = {};
  };
  using Overridden = std::map<std::string, std::string>;  // full keys, and who overrides each, in words
  using GivenMap = boost::container::flat_map<std::string_view, Given>;

  GivenMap overlay(const Point& point) const;
  const Component* pick(const std::string& kind, const std::vector<Component>& all, const GivenMap& given,
                        ResolvedTrial& trial) const;
  void add_component(const Component& component, const std::string& prefix, Place place,
                     std::map<std::string, Group>& groups, ResolvedTrial& trial) const;
  void add_composed(const GivenMap& given, const Component* method, std::map<std::string, Group>& groups,
                    ResolvedTrial& trial);
  ResolvedTrial resolved(const Point& point);
  void check(Group& group, ResolvedTrial& trial);
  CheckedPtr checked(const Group& group, const Overridden& by_key = {});
  Overridden overridden(const std::map<std::string, Group>& groups);
  void report(const Group& group, ResolvedTrial& trial) const;
  void report_unread(const Group& group, ResolvedTrial& trial) const;
  static void fill(TrialSpec& spec, const std::map<std::string, Group>& groups);
  const KeyParts& parts_of(const std::string& key);
  std::string identity_text(const Setting& setting, const std::string& text, Checked& result);

  const Catalog& catalog_;
  const std::vector<Entry>& base_;
  GivenMap base_given_;
  Place missing_place_;
  PathContent content_;
  UnknownKeys unknown_;
  std::map<std::string, std::string> contents_;  // of paths seen so far; a file can be large
  std::set<const Entry*> read_;                  // of the trial section
  std::set<std::string> tolerated_;
  std::unordered_map<std::string, CheckedPtr> memo_;
  std::unordered_map<std::string, KeyParts> parts_;
  Point last_point_;  // whose trial is last_; replicates follow each other
  std::optional<ResolvedTrial> last_;
};

}  // namespace winnow
