#include "experiments/run/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <numeric>
#include <sstream>

#include "experiments/report/text_table.h"
#include "experiments/run/terminal_text.h"
#include "experiments/text.h"

namespace winnow {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRedraw{250};
constexpr std::chrono::seconds kLogged{30};
constexpr std::size_t kMostPlaces = 3;
// Less than that of a trial says little about the rest of it.
constexpr double kTelling = 0.02;

double share_of(const TrialRow& row, std::int64_t steps) {
  return row.steps > 0 ? std::clamp(static_cast<double>(steps) / static_cast<double>(row.steps), 0.0, 1.0) : 0;
}
double share_of(const TrialRow& row) { return share_of(row, row.step); }
double share_done_here(const TrialRow& row) { return share_of(row, row.step - row.from); }

// From its own speed, or else from `pace`, the seconds that a unit of cost takes.
std::optional<double> seconds_left_of(const TrialRow& row, std::optional<double> pace) {
  const double here = share_done_here(row);
  if (here > kTelling) return row.seconds * (1 - share_of(row)) / here;
  if (!pace) return std::nullopt;
  return std::max(0.0, row.cost * *pace * (1 - share_of(row, row.from)) - row.seconds);
}

std::string percent(double fraction) { return fmt::format("{:.2f} %", 100 * fraction); }

std::string short_name(const std::string& name) {
  const std::size_t dash = name.rfind('-');
  return dash == std::string::npos || dash <= 8 ? name : name.substr(0, 8) + name.substr(dash);
}

std::size_t sum(const std::map<TrialEnd, std::size_t>& ended) {
  return std::accumulate(ended.begin(), ended.end(), std::size_t{0},
                         [](std::size_t all, const auto& entry) { return all + entry.second; });
}

std::size_t count(const std::map<TrialEnd, std::size_t>& ended, TrialEnd end) {
  const auto found = ended.find(end);
  return found == ended.end() ? 0 : found->second;
}

}  // namespace

Console::Console(bool quiet, bool drawn) : Console(quiet, drawn, std::cerr, terminal_of(STDERR_FILENO)) {}

Console::Console(bool quiet, bool drawn, std::ostream& out, Terminal terminal)
    : quiet_(quiet), drawn_(drawn), out_(out), terminal_(terminal) {}

Console::~Console() {
  if (!on_screen_.empty()) out_ << erased() << std::flush;
}

void Console::begin(std::size_t trials, double cost, std::size_t at_a_time) {
  trials_ = trials;
  cost_ = cost;
  at_a_time_ = std::max<std::size_t>(at_a_time, 1);
}

void Console::update(const TrialRow& row) {
  running_[row.name] = row;
  tick();
}

void Console::end(const TrialRow& row, TrialEnd end, const std::string& text) {
  running_.erase(row.name);
  ++ended_[end];
  cost_ended_ += row.cost;
  if (end == TrialEnd::Trained) {
    trained_cost_ += row.cost;
    trained_seconds_ += row.seconds;
    if (row.test_acc) {
      const auto [best, first] = best_.try_emplace(row.place, Best{*row.test_acc, row.label, row.name});
      if (!first && *row.test_acc > best->second.test_acc) best->second = {*row.test_acc, row.label, row.name};
    }
  }
  const bool bad = end == TrialEnd::Diverged || end == TrialEnd::Failed;
  const std::string said = fmt::format("[{}/{}] {} {}, {}  {}", sum(ended_), std::max(trials_, sum(ended_)),
                                       terminal_.live ? short_name(row.name) : row.name, row.label, row.place,
                                       bad ? terminal_.paint(Colour::Red, text) : text);
  end == TrialEnd::Failed ? problem(said) : line(said);
}

std::string Console::put_down(const std::string& name, const std::string& text) {
  running_.erase(name);
  return fmt::format("{}  {}", terminal_.live ? short_name(name) : name, text);
}

void Console::give_back(const std::string& name, const std::string& text) { problem(put_down(name, text)); }

void Console::leave(const std::string& name, const std::string& text) { line(put_down(name, text)); }

void Console::line(const std::string& text) {
  if (!quiet_) problem(text);
}

void Console::problem(const std::string& text) {
  const bool had_block = !on_screen_.empty();
  // One write of the line, so that those of several processes do not mix.
  out_ << CursorControl{erased()} << text + "\n" << std::flush;
  if (had_block) draw();
}

void Console::tick(steady_clock::time_point now) {
  if (quiet_ || !drawn_ || running_.empty()) return;
  if (now - shown_ < (terminal_.live ? steady_clock::duration(kRedraw) : steady_clock::duration(kLogged))) return;
  shown_ = now;
  if (terminal_.live) {
    draw();
  } else {
    line(summary());
  }
}

// A window that was made narrower has wrapped the lines of the block.
std::string Console::erased() {
  if (on_screen_.empty()) return "";
  const std::size_t columns = std::max<std::size_t>(terminal_.columns(), 1);
  std::size_t rows = 0;
  for (const std::string& shown : on_screen_)
    rows += std::max<std::size_t>(1, (display_width(shown) + columns - 1) / columns);
  on_screen_.clear();
  return fmt::format("\r\033[{}A\033[J", rows);
}

void Console::draw() {
  const std::string over = erased();
  std::string frame;
  // The last column stays free: some terminals wrap behind it.
  const std::size_t columns = std::max<std::size_t>(terminal_.columns(), 21) - 1;
  std::vector<std::string> lines = block(columns, terminal_.rows());
  for (const std::string& text : lines) frame += text + "\n";
  on_screen_ = std::move(lines);
  out_ << CursorControl{over} << frame << std::flush;
}

double Console::images_per_second() const {
  return std::accumulate(running_.begin(), running_.end(), 0.0,
                         [](double all, const auto& entry) { return all + entry.second.images_per_second; });
}

double Console::share_done() const {
  double done = cost_ended_;
  for (const auto& [name, row] : running_) done += row.cost * share_of(row);
  return cost_ > 0 ? std::min(1.0, done / cost_) : 0;
}

std::optional<double> Console::pace() const {
  double cost = trained_cost_, seconds = trained_seconds_;
  for (const auto& [name, row] : running_) {
    if (share_done_here(row) <= kTelling) continue;
    cost += row.cost * share_done_here(row);
    seconds += row.seconds;
  }
  return cost > 0 ? std::optional(seconds / cost) : std::nullopt;
}

std::optional<double> Console::seconds_left() const {
  const std::optional<double> speed = pace();
  double longest = 0, all = 0, waiting = cost_ - cost_ended_;
  for (const auto& [name, row] : running_) {
    waiting -= row.cost;
    const auto left = seconds_left_of(row, speed);
    if (!left) return std::nullopt;
    longest = std::max(longest, *left);
    all += *left;
  }
  if (waiting > 0 && !speed) return std::nullopt;
  if (waiting > 0) all += waiting * *speed;
  return std::max(longest, all / static_cast<double>(at_a_time_));
}

std::string Console::summary() const {
  std::string text = fmt::format("{} of {}", sum(ended_), counted(std::max(trials_, sum(ended_)), "trial"));
  for (const auto& [end, what] : {std::pair{TrialEnd::Diverged, "diverged"}, {TrialEnd::Failed, "failed"}}) {
    if (count(ended_, end) > 0) text += fmt::format(", {} {}", count(ended_, end), what);
  }
  text += fmt::format(", {} running", running_.size());
  if (const auto left = seconds_left()) text += ", " + duration_text(*left) + " left";
  if (images_per_second() > 0) text += ", " + count_text(images_per_second()) + " images/s";
  for (const auto& [place, best] : best_)
    text += fmt::format(", best {} {} on {}", percent(best.test_acc), best.label, place);
  return text;
}

std::string Console::head(std::size_t columns) const {
  std::string counts = fmt::format("{} of {}", sum(ended_), counted(std::max(trials_, sum(ended_)), "trial"));
  for (const auto& [end, what] : {std::pair{TrialEnd::Diverged, "diverged"}, {TrialEnd::Failed, "failed"}}) {
    if (count(ended_, end) > 0) counts += fmt::format("  {} {}", count(ended_, end), what);
  }
  const auto left = seconds_left();
  std::string rest = left ? "  " + duration_text(*left) + " left" : "";
  const std::string speed =
      images_per_second() > 0 ? "  " + count_text(images_per_second()) + " images/s" : std::string();
  if (counts.size() + rest.size() + speed.size() <= columns) rest += speed;
  std::string text = clipped(counts + rest, columns);
  constexpr std::size_t kLeast = 12, kMost = 42;
  const std::size_t room = columns - display_width(text);
  if (room >= kLeast + 2) text = bar(share_done(), std::min(room - 2, kMost)) + "  " + text;
  return text;
}

std::vector<std::string> Console::best_lines() const {
  std::vector<std::string> lines;
  for (const auto& [place, best] : best_) {
    if (lines.size() == kMostPlaces) break;
    lines.push_back(
        fmt::format("best {}  {}, {}  {}", percent(best.test_acc), best.label, place, short_name(best.name)));
  }
  return lines;
}

std::vector<std::string> Console::row_lines(std::size_t columns, std::size_t most) const {
  TextTable table;
  table.columns = {{"running", false, 0, {}}, {"done", true, 0, {}}, {"loss", true, 3, {}},  {"test", true, 2, {}},
                   {"images/s", true, 4, {}}, {"left", true, 1, {}}, {"trial", false, 5, {}}};
  for (const auto& [name, row] : running_) {
    if (table.rows() == most) break;
    const auto left = seconds_left_of(row, pace());
    const std::string cells[] = {row.label + ", " + row.place,
                                 fmt::format("{:.0f} %", 100 * share_of(row)),
                                 row.loss ? fmt::format("{:.4f}", *row.loss) : "-",
                                 row.test_acc ? percent(*row.test_acc) : "-",
                                 row.images_per_second > 0 ? fmt::format("{:.0f}", row.images_per_second) : "-",
                                 left ? duration_text(*left) : "-",
                                 short_name(name)};
    for (std::size_t i = 0; i < table.columns.size(); ++i) table.columns[i].cells.push_back(cells[i]);
  }
  // What a trial is comes first, and gives way last.
  const std::size_t label = std::max<std::size_t>(columns > 30 ? columns - 30 : 0, 12);
  for (std::string& cell : table.columns[0].cells) cell = clipped(cell, label);
  std::ostringstream text;
  table.fitted(columns).text(text);
  std::vector<std::string> lines;
  std::istringstream read(text.str());
  for (std::string row; std::getline(read, row);) lines.push_back(row);
  if (running_.size() > table.rows()) lines.push_back(fmt::format("and {} more", running_.size() - table.rows()));
  return lines;
}

std::vector<std::string> Console::block(std::size_t columns, std::size_t rows) const {
  std::vector<std::string> lines = {head(columns)};
  for (const std::string& best : best_lines()) lines.push_back(best);
  // A title, perhaps "and more", and the line of the cursor stay free.
  const std::size_t used = lines.size() + 3;
  if (!running_.empty() && rows > used) {
    for (const std::string& row : row_lines(columns, rows - used)) lines.push_back(row);
  }
  for (std::string& text : lines) text = clipped(text, columns);
  if (lines.size() + 1 > rows) lines.resize(std::max<std::size_t>(rows, 2) - 1);
  return lines;
}

}  // namespace winnow
