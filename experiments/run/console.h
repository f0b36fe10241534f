// What a person sees of `winnow run`: one line for every trial that ends, and on a terminal a block below them that
// follows the trials in work, with time left, throughput and the best accuracy so far. In a log the block is one plain
// line every 30 s. One process of a job owns the console; it draws the trials of all others from the rows that they
// send. Not synchronised: used from one thread, which calls update() or tick() a few times a second.
#pragma once

#include <chrono>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/run/terminal.h"

namespace winnow {

// A trial in work, or one that just ended.
struct TrialRow {
  std::string name;   // of the trial: "3f2a9c...-r0"
  std::string label;  // "rigl 0.05"
  std::string place;  // what its accuracy may be compared within: "lenet300 on fashion-mnist"
  std::int64_t step = 0, steps = 0;
  std::int64_t from = 0;                           // the step that it went on from
  std::optional<double> loss = {}, test_acc = {};  // test_acc: a fraction
  double images_per_second = 0;                    // 0: not known yet
  double seconds = 0;                              // since it began
  double cost = 1;                                 // expected seconds; only ratios between trials count
};

// Left: at a rung, from where it may go on.
enum class TrialEnd { Trained, Diverged, Failed, Elsewhere, Left };

class Console {
 public:
  // `drawn`: this process shows the block; others show their lines alone. `quiet`: only what went wrong.
  Console(bool quiet, bool drawn);
  Console(bool quiet, bool drawn, std::ostream& out, Terminal terminal);
  ~Console();  // takes the block away
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  // How many trials are to be trained, their cost in sum, and how many are trained at a time.
  void begin(std::size_t trials, double cost, std::size_t at_a_time);
  // A trial began or went on: its row replaces the last one of that name.
  void update(const TrialRow& row);
  // A trial ended: "[3/18] NAME LABEL, PLACE  TEXT", where 3 trials have ended now; a terminal gets the start of NAME.
  void end(const TrialRow& row, TrialEnd end, const std::string& text);
  // A trial is not in work any more and will be again: "NAME  TEXT".
  void give_back(const std::string& name, const std::string& text);
  void leave(const std::string& name, const std::string& text);  // as a rule has it, which is no problem
  void line(const std::string& text);
  void problem(const std::string& text);  // said even where quiet was asked for
  // Draws, if it is time to. `now`: for tests.
  void tick(std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now());

  // One line, and the block for a window of `columns` x `rows`.
  std::string summary() const;
  std::vector<std::string> block(std::size_t columns, std::size_t rows) const;
  std::optional<double> seconds_left() const;

 private:
  struct Best {
    double test_acc = 0;
    std::string label, name;
  };
  std::string head(std::size_t columns) const;
  std::vector<std::string> best_lines() const;
  std::vector<std::string> row_lines(std::size_t columns, std::size_t most) const;
  double images_per_second() const;
  std::optional<double> pace() const;  // seconds that a unit of cost takes
  double share_done() const;
  std::string erased();
  // The line of one that is not in work any more.
  std::string put_down(const std::string& name, const std::string& text);
  void draw();

  bool quiet_, drawn_;
  std::ostream& out_;
  Terminal terminal_;
  std::chrono::steady_clock::time_point shown_ = std::chrono::steady_clock::now();
  std::vector<std::string> on_screen_;  // lines of the block
  std::size_t trials_ = 0, at_a_time_ = 1;
  std::map<TrialEnd, std::size_t> ended_;
  double cost_ = 0, cost_ended_ = 0;
  double trained_cost_ = 0, trained_seconds_ = 0;  // of the trials that trained to their end
  std::map<std::string, TrialRow> running_;
  std::map<std::string, Best> best_;  // by place
};

}  // namespace winnow
