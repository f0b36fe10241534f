#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>

#include "experiments/cli/out_arguments.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/status.h"
#include "experiments/text.h"

namespace winnow {
namespace {

constexpr std::size_t kListed = 20;  // of each kind on the screen; --json has all

std::string percent(const std::optional<double>& fraction) {
  return fraction ? fmt::format("{:.2f} %", *fraction * 100) : "-";
}

// Of a line of the plan; its settings have no end on a screen.
std::string label_of(const PlannedTrial& trial) {
  Settings settings;
  std::istringstream words(trial.canonical);
  for (std::string word; words >> word;) {
    const std::size_t equals = word.find('=');
    if (equals != std::string::npos) settings.set(word.substr(0, equals), word.substr(equals + 1));
  }
  return winnow::label_of(settings);
}

template <class Items, class Line>
void list(std::ostream& out, const char* title, const Items& items, Line&& line) {
  if (items.empty()) return;
  out << title << "\n";
  for (std::size_t i = 0; i < std::min(items.size(), kListed); ++i) out << "  " << line(items[i]) << "\n";
  if (items.size() > kListed) out << fmt::format("  and {} more (--json lists all)\n", items.size() - kListed);
}

void print(std::ostream& out, const SweepStatus& s) {
  const std::size_t settled = s.done + s.diverged.size();
  out << fmt::format("done {}  diverged {}  failed {}  running {}  missing {}", s.done, s.diverged.size(),
                     s.failed.size(), s.running.size(), s.missing.size());
  if (!s.damaged.empty()) out << fmt::format("  damaged {}", s.damaged.size());
  out << fmt::format("  of {}   {} %\n{}", s.planned, s.planned == 0 ? 0 : settled * 100 / s.planned,
                     bar(s.planned == 0 ? 0 : static_cast<double>(settled) / static_cast<double>(s.planned), 42));
  if (s.trials_per_hour)
    out << fmt::format("  {:.3g} trials/h, {} each", *s.trials_per_hour, duration_text(s.mean_seconds));
  if (s.seconds_left) out << ", " << duration_text(*s.seconds_left) << " left";
  out << "\n";
  list(out, "running", s.running, [](const RunningTrial& t) {
    return fmt::format("{}  {}  {}/{} steps  loss {}  test {}  {:.0f} images/s  {} on {} rank{}", t.name, t.label,
                       t.progress.step, t.progress.steps,
                       t.progress.loss ? fmt::format("{:.4f}", *t.progress.loss) : "-", percent(t.progress.test_acc),
                       t.progress.images_per_second, t.host, t.ranks, t.ranks == 1 ? "" : "s");
  });
  list(out, "stopped without a word (the next run starts them again)", s.stale,
       [](const RunningTrial& t) { return fmt::format("{}  {}  {}", t.name, t.label, t.host); });
  list(out, "diverged", s.diverged, [](const std::string& name) { return name; });
  list(out, "failed (the next run tries them again)", s.failed, [](const FailureRecord& f) {
    return fmt::format("{}  {}  ({} attempt{})", f.name, f.reason, f.attempts, f.attempts == 1 ? "" : "s");
  });
  list(out, "unreadable (where it is damaged: remove the file to run the trial again)", s.damaged,
       [](const SweepStatus::Damaged& d) { return d.reason; });
  list(out, "missing", s.missing, [](const PlannedTrial& t) { return t.name + "  " + label_of(t); });
}

nlohmann::ordered_json running_json(const std::vector<RunningTrial>& trials) {
  auto rows = nlohmann::ordered_json::array();
  for (const RunningTrial& t : trials) {
    rows.push_back({{"name", t.name},
                    {"label", t.label},
                    {"host", t.host},
                    {"ranks", t.ranks},
                    {"step", t.progress.step},
                    {"steps", t.progress.steps},
                    {"loss", t.progress.loss ? nlohmann::ordered_json(*t.progress.loss) : nullptr},
                    {"test_acc", t.progress.test_acc ? nlohmann::ordered_json(*t.progress.test_acc) : nullptr},
                    {"images_per_second", t.progress.images_per_second},
                    {"updated", t.updated}});
  }
  return rows;
}

nlohmann::ordered_json json_of(const SweepStatus& s) {
  using Json = nlohmann::ordered_json;
  Json json = {{"schema", "winnow-status"}, {"schema_version", "1.0"}, {"planned", s.planned}, {"done", s.done}};
  json["diverged"] = s.diverged;
  json["failed"] = Json::array();
  for (const auto& f : s.failed) {
    json["failed"].push_back({{"name", f.name}, {"reason", f.reason}, {"time", f.time}, {"attempts", f.attempts}});
  }
  json["running"] = running_json(s.running);
  json["stale"] = running_json(s.stale);
  json["damaged"] = Json::array();
  for (const auto& d : s.damaged) json["damaged"].push_back({{"name", d.name}, {"reason", d.reason}});
  json["missing"] = Json::array();
  for (const auto& m : s.missing) json["missing"].push_back({{"name", m.name}, {"settings", m.canonical}});
  json["seconds_per_trial"] = s.mean_seconds;
  json["trials_per_hour"] = s.trials_per_hour ? Json(*s.trials_per_hour) : Json();
  json["seconds_left"] = s.seconds_left ? Json(*s.seconds_left) : Json();
  return json;
}

}  // namespace

int run_status(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  boost::program_options::options_description options(
      "winnow status OUT [options]   what is done, running, failed and missing; changes nothing");
  options.add_options()("json", "everything, as one JSON object");
  const auto given = parse_out_arguments(args, options, out);
  if (!given) return 0;
  PosixFiles files;
  const SweepStatus status = read_status(files, given->place, unix_now());
  if (given->has("json")) {
    out << json_of(status).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  } else {
    print(out, status);
  }
  return 0;
}

}  // namespace winnow
