// From a sweep file to its trials: reads it, applies the arguments, goes through the points of its axes, and links trials that
// need others. Made for one call of load(); not shared between threads.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "experiments/sweep/axes.h"
#include "experiments/sweep/document.h"
#include "experiments/sweep/need_links.h"
#include "experiments/sweep/plan_notes.h"
#include "experiments/sweep/resolver.h"
#include "experiments/sweep/rule_book.h"
#include "experiments/sweep/set_arguments.h"
#include "experiments/sweep/stop_reader.h"
#include "experiments/sweep/sweep.h"
#include "experiments/sweep/trial_list.h"

namespace winnow {

class SweepLoader {
 public:
  SweepLoader(const std::filesystem::path& path, const Catalog& catalog, const ExpandOptions& options)
      : catalog_(with_sweep_settings(catalog)), options_(options) {
    sweep_.path = path;
    sweep_.smoke = options.smoke;
  }

  Sweep load();

 private:
  void read_rules(const Document& document);
  void add_rule(Rule rule, bool keeps, LeftOut left_out);
  bool left_out(const TrialSpec& spec, const Point& point);
  void expand(const Document& document, const Axes& axes);
  TrialSpec identified(TrialSpec spec);
  void add(const ResolvedTrial& trial, const Point& point, const TrialResolver& resolver);
  void refuse_nameless_axis(const TrialSpec& spec, const Point& point);
  void count_unread(const ResolvedTrial& trial);
  void refuse_unread_arguments();
  void fit_smoke_data(ResolvedTrial& trial, const Point& point, TrialResolver& resolver);
  void check_stop(Document& document);
  void finish();

  void link(const Document& document, TrialResolver& resolver);
  std::optional<TrialSpec> dense_like(const NeedReference& reference, const Document& document,
                                      TrialResolver& resolver);
  void note_references(const TrialSpec& spec, const Point& point, const TrialResolver& resolver);

  const Catalog catalog_;
  const ExpandOptions& options_;
  Diagnostics problems_;
  Sweep sweep_;
  SetArguments arguments_;
  RuleBook rules_{catalog_};
  TrialList trials_;
  std::map<std::string, NeedLinks::References> references_;   // by provisional id, of trials that need others
  std::vector<std::pair<std::string, std::string>> aliases_;  // further labels of trials, by provisional name
  std::vector<const Point*> kept_back_;                       // by --only
  PlanNotes notes_;
  StopCheck stop_;
  std::size_t resolved_ = 0;       // points that no rule leaves out
  std::deque<Entry> own_entries_;  // points refer to them, those of added dense trials too
};

}  // namespace winnow
