// The rounds of a run that has one rank, in this process, with all that they borrow. Header only.
#pragma once

#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "distributed/communicator.h"
#include "experiments/run/sweep_rounds.h"

namespace winnow::test {

class RoundsOfOneRank {
 public:
  struct How {
    const StopRule* rule = nullptr;
    RunDevices devices = {};
    bool by_workers = false;
    int at_once = 1;
  };
  RoundsOfOneRank(const TrialTable& table, Files& files, const std::filesystem::path& out, const How& how)
      : devices_(how.devices),
        found_(table.size(), Found::Nothing),
        costs_(table.size(), 1.0),
        needs_(need_order(table, costs_)),
        desk_(console_, *mail_, table, costs_),
        rounds({.world = *world_,
                .files = files,
                .options = options_,
                .trials = table,
                .sweep_text = sweep_text_,
                .rule = how.rule,
                .cores = cores_,
                .devices = devices_,
                .place = 0,
                .by_workers = how.by_workers,
                .at_once = how.at_once,
                .desk = desk_,
                .by_mail = *by_mail_,
                .found = found_,
                .step_costs = costs_,
                .needs = needs_,
                .crash_mark = {},
                .stop = stop_,
                .tally = tally}) {
    options_.out = out;
  }

  std::ostringstream said;
  Tally tally;

 private:
  const std::unique_ptr<Communicator> world_ = make_self();
  const std::unique_ptr<Mail> mail_ = world_->mail();
  const std::unique_ptr<Notice> notice_ = world_->notice();
  const std::unique_ptr<NewsDesk> by_mail_ = news_by_mail(*mail_);
  StopRequest stop_{*notice_};
  Console console_{false, false, said, Terminal{}};
  const std::string sweep_text_;
  const CoreShares cores_;
  RunDevices devices_;
  RunOptions options_;
  std::vector<Found> found_;
  std::vector<double> costs_;
  NeedOrder needs_;
  FrontDesk desk_;

 public:
  SweepRounds rounds;
};

}  // namespace winnow::test
