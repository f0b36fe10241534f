#include "experiments/results/progress_file.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <random>

#include "core/error.h"
#include "distributed/host_name.h"
#include "distributed/node_peers.h"
#include "experiments/results/json_number.h"
#include "experiments/results/layout.h"

namespace winnow {
namespace {

// Anyone who may write there can have written it, and it is calculated with.
bool is_possible(const RunningTrial& trial) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53;  // counts and Unix seconds beyond are nobody's
  const auto& [step, steps, from, loss, accuracy, speed] = trial.progress;
  return trial.ranks >= 1 && speed >= 0 && speed <= static_cast<double>(kMost) &&
         std::ranges::all_of(std::array{trial.started, trial.updated, step, steps, from},
                             [](std::int64_t number) { return number >= 0 && number <= kMost; });
}

}  // namespace

// One that ended and that nobody has asked for its exit code is gone too; in a container nobody may ever ask.
bool is_gone_here(const std::string& host, std::int64_t process) {
  if (process <= 0 || host != host_name()) return false;
  if (::kill(static_cast<pid_t>(process), 0) != 0) return errno == ESRCH;
  return state_of_process(process).letter == 'Z';
}

std::string label_of(const Settings& trial) {
  std::string label;
  for (const char* key : {"model.name", "method.name", "method.density"}) {
    if (trial.has(key)) label += (label.empty() ? "" : "/") + trial.text(key);
  }
  return label;
}

std::int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

ProgressFile::ProgressFile(Files& files, const std::filesystem::path& out, const TrialSpec& spec, int ranks)
    : files_(files),
      path_(Layout(out).progress(spec.name())),
      name_(spec.name()),
      label_(label_of(spec.settings)),
      host_(host_name()),
      token_(fmt::format("{:08x}{:08x}", std::random_device()(), std::random_device()())),
      ranks_(ranks),
      started_(unix_now()) {
  write({});
}

ProgressFile::~ProgressFile() {
  try {
    // Two runs may train one trial at the end; each removes its own heartbeat.
    if (nlohmann::json::parse(read_text(files_, path_)).value("token", "") == token_) files_.remove(path_);
  } catch (...) {  // it will be seen as stale
  }
}

void ProgressFile::update(const Progress& progress) {
  const bool first = !std::exchange(knows_steps_, knows_steps_ || progress.steps > 0) && progress.steps > 0;
  if (first || std::chrono::steady_clock::now() - written_ >= kEvery) write(progress);
}

void ProgressFile::write(const Progress& progress) {
  written_ = std::chrono::steady_clock::now();
  const nlohmann::ordered_json json = {{"schema", "winnow-progress"},
                                       {"schema_version", "1.0"},
                                       {"name", name_},
                                       {"label", label_},
                                       {"host", host_},
                                       {"process", ::getpid()},
                                       {"token", token_},
                                       {"ranks", ranks_},
                                       {"started", started_},
                                       {"updated", unix_now()},
                                       {"step", progress.step},
                                       {"steps", progress.steps},
                                       {"from", progress.from},
                                       {"loss", number_or_null(progress.loss)},
                                       {"test_acc", number_or_null(progress.test_acc)},
                                       {"images_per_second", progress.images_per_second}};
  try {
    files_.replace(path_, json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n",
                   {.read_only = false, .synced = false});
  } catch (const Error&) {  // a missing heartbeat is no reason to end a trial
  }
}

std::optional<RunningTrial> read_running(Files& files, const std::filesystem::path& out, const std::string& name,
                                         std::int64_t now) {
  RunningTrial trial;
  trial.name = name;
  try {
    const auto json = nlohmann::json::parse(read_text(files, Layout(out).progress(name)));
    trial.label = json.value("label", "");
    trial.host = json.value("host", "");
    trial.process = integer_in(json, "process", std::int64_t{0});
    trial.ranks = integer_in(json, "ranks", 1);
    trial.started = integer_in(json, "started", std::int64_t{0});
    trial.updated = integer_in(json, "updated", std::int64_t{0});
    trial.progress.step = integer_in(json, "step", std::int64_t{0});
    trial.progress.steps = integer_in(json, "steps", std::int64_t{0});
    trial.progress.from = integer_in(json, "from", std::int64_t{0});
    trial.progress.loss = number_in(json, "loss");
    trial.progress.test_acc = number_in(json, "test_acc");
    trial.progress.images_per_second = number_in(json, "images_per_second").value_or(0);
    if (!is_possible(trial)) {
      trial = RunningTrial();
      trial.name = name;
      trial.stale = true;
    }
  } catch (const nlohmann::json::exception&) {
    trial.stale = true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Input) return std::nullopt;  // it ended while we looked
    trial.stale = true;
  }
  // Clocks of machines differ, and one may have been set back: nobody is to wait until it says so again.
  constexpr std::int64_t kAhead = 600;  // s
  trial.stale = trial.stale || now - trial.updated > ProgressFile::kStale.count() || trial.updated - now > kAhead ||
                is_gone_here(trial.host, trial.process);
  return trial;
}

std::vector<RunningTrial> read_running(Files& files, const std::filesystem::path& out, std::int64_t now) {
  std::vector<RunningTrial> running;
  for (const auto& file : files.list(Layout(out).running())) {
    if (!file.ends_with(".json")) continue;
    if (auto trial = read_running(files, out, file.substr(0, file.size() - 5), now)) {
      running.push_back(std::move(*trial));
    }
  }
  return running;
}

}  // namespace winnow
