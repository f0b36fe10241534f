// What all processes that train trials under a rule know of each other, on any machine and after any kill: files below
// rungs/<rule>/ in the output directory. Who trains a trial to a rung appends that to a file of its own (results/journal.h); who lets a
// trial past a rung makes a file that only one can make. docs/formats.md describes both. Used by one thread; borrows `files`.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "experiments/results/files.h"
#include "experiments/results/journal.h"
#include "experiments/run/median_stop.h"
#include "experiments/run/rung_table.h"
#include "experiments/trial.h"

namespace winnow {

class RungBoard {
 public:
  RungBoard(Files& files, const std::filesystem::path& out, const StopRule& rule, const TrialTable& trials);

  bool refresh();         // takes in what others have written since, if there is anything
  void refresh_claims();  // and whom they have let past a rung: what they knew then may be no reason for it now
  const RungTable& table() const { return table_; }
  bool competes(const std::string& name) const { return by_name_.contains(name); }
  bool is_due(const std::string& name) const { return table_.is_due(by_name_.at(name)); }  // of one that competes
  // A trial that is let past a rung and this caller's to train. Nothing: none by what is known now.
  std::optional<std::size_t> claim();
  // What the rule has decided since the last call: of trials that this caller let past a rung, or brought to one where they stay by what
  // is known now.
  std::vector<RungDecision> decisions();
  // Of all that stay at a rung, whoever brought them there.
  std::vector<RungDecision> stopped();

  // The epochs that it may train to; nothing: to its end.
  std::optional<std::int64_t> target(std::size_t trial) const;
  // It has come to its target, or failed on its way there. Others know when the call returns.
  void arrived(std::size_t trial, const Table& epochs);
  void failed(std::size_t trial);
  // It has a result: with the curve of one that was trained without this rule.
  void finished(std::size_t trial) { table_.finish(trial); }
  void finished(std::size_t trial, const Table& epochs);
  // Nobody can train it while this table is used: its result is there and cannot be read. Decides nothing, and nobody is told.
  void leave_out(std::size_t trial) { table_.leave_out(trial); }

 private:
  void note(std::size_t trial, std::optional<Standing> standing);
  void take_in(const nlohmann::json& record);
  Standing standing(const Table& epochs,
                    std::int64_t rung) const;  // best: where the rule judges by one evaluation, that

  Files& files_;
  std::filesystem::path folder_;
  StopRule rule_;
  RungTable table_;
  std::unordered_map<std::string, std::size_t> by_name_;
  std::vector<RungDecision> let_past_;    // by claim(), and not asked for yet
  std::vector<RungTable::Step> arrived_;  // this caller's, of which nothing is decided yet
  std::map<std::filesystem::path, JournalReader> readers_;
  std::unique_ptr<JournalWriter> writer_;
};

}  // namespace winnow
