// What the processes of a run tell the one that owns the console about their trials. A TrialNews is a plain value that
// travels as one line of text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "distributed/communicator.h"
#include "experiments/results/progress_file.h"
#include "experiments/run/console.h"
#include "experiments/run/rung_decision.h"
#include "experiments/trial_table.h"

namespace winnow {

class RunJournal;

struct TrialNews {
  std::size_t at = 0;  // position of the trial in the sweep
  Progress progress = {};
  double seconds = 0;                         // since it began
  std::optional<TrialEnd> end = {};           // nothing: it goes on
  std::optional<std::int64_t> saved = {};     // the step at which it was just saved
  std::optional<double> epoch = {};           // that was just evaluated
  std::string text = {};                      // how it ended, or while it goes on what is to be said of it
  std::optional<RungDecision> decision = {};  // of the rule, and then nothing else: the trial need not be in work
};

std::string encode(const TrialNews& news);
// Nothing for a line that is no news.
std::optional<TrialNews> decode(std::string_view line);

// Where a process brings its news: used by one thread, never waits for anybody.
class NewsDesk {
 public:
  virtual ~NewsDesk() = default;
  virtual void tell(const TrialNews& news) = 0;
  virtual void listen() {}  // takes in what others have told; called by who has nothing to tell for a while
};

// On the standard error of a worker, which its parent reads.
std::unique_ptr<NewsDesk> news_by_pipe();
// By mail to rank 0.
std::unique_ptr<NewsDesk> news_by_mail(Mail& mail);

// Of the process that owns the console: shows its own news and those of all others. Borrows what it is given.
class FrontDesk final : public NewsDesk {
 public:
  // `costs`: expected seconds of each trial.
  FrontDesk(Console& console, Mail& mail, const TrialTable& trials, std::span<const double> costs)
      : console_(console), mail_(mail), trials_(trials), costs_(costs), told_(trials.size()) {}
  void keep(RunJournal* journal);  // writes down what is heard from here on, and what was decided before
  void tell(const TrialNews& news) override;
  // It is not in work any more and has not ended: its process has, by a crash or by somebody.
  void decided(const RungDecision& decision);
  void give_back(std::size_t at, const std::string& why, bool crashed);
  // How a trial has ended, unless its own process has told so.
  void tell_if_untold(const TrialNews& end);
  // What went wrong and is no trial's.
  void warn(const std::string& what) { console_.problem("warning: " + what); }
  // Of a worker: news, or the words of a library. What it was. A note ("note ...") is shown once, whoever says it.
  enum class Line { Words, News, End, Nothing };  // End: of a trial. Nothing: empty, a note, or news cut short
  Line tell_line(const std::string& line);
  void listen() override;  // takes in the mail that is there, and draws if it is time to

 private:
  void show(const TrialNews& news);

  Console& console_;
  Mail& mail_;
  const TrialTable& trials_;
  std::span<const double> costs_;
  RunJournal* journal_ = nullptr;
  std::vector<bool> told_;             // of each trial: its end was
  std::set<std::string> notes_;        // that were shown
  std::vector<RungDecision> decided_;  // before there was a journal
};

}  // namespace winnow
