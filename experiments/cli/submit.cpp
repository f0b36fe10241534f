// `winnow submit`: what is missing of a sweep becomes job arrays of Slurm. It returns at once; the jobs do the rest.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <sstream>

#include "core/error.h"
#include "experiments/cli/json_output.h"
#include "experiments/cli/options.h"
#include "experiments/cli/submission_json.h"
#include "experiments/cli/sweep_plan.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"
#include "experiments/submit/batch_script.h"
#include "experiments/submit/failed_nodes.h"
#include "experiments/submit/shard_choice.h"
#include "experiments/submit/submitter.h"
#include "experiments/text.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using Strings = std::vector<std::string>;

constexpr std::int64_t kUsualArraySize = 1001;  // Slurm's own default

// As jobs find it: by name where that is this program, else where it lies.
std::string program_for_jobs() {
  const fs::path self = fs::read_symlink("/proc/self/exe");
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const fs::path found = fs::path(rest.substr(0, rest.find(':'))) / "winnow";
    std::error_code missing;
    if (fs::exists(found, missing)) return fs::equivalent(found, self, missing) ? "winnow" : self.string();
    rest.remove_prefix(std::min(rest.find(':'), rest.size() - 1) + 1);
  }
  return self.string();
}

Site site_of(const po::variables_map& given) {
  fs::path profile;
  if (given.contains("site")) {
    profile = given["site"].as<std::string>();
  } else if (const char* named = std::getenv("WINNOW_SITE"); named != nullptr && *named != '\0') {
    profile = named;
  }
  std::vector<std::pair<std::string, std::string>> options;
  for (const Setting& setting : site_settings()) {
    const std::string option = option_of(setting);
    if (given.contains(option)) options.emplace_back(setting.key, given[option].as<std::string>());
  }
  if (given.contains("sbatch")) {
    for (const std::string& line : given["sbatch"].as<Strings>()) options.emplace_back("sbatch", line);
  }
  return read_site(profile, options);
}

// Those of `winnow run` alone: what the trials are is said to submit itself, which plans them.
Strings checked_run_options(const Strings& options) {
  po::options_description own;
  add_sweep_options(own);
  add_ranks_option(own);
  own.add_options()("shard", "")("deal", "")("help", "");
  std::ostringstream nobody;
  parse_arguments("run", options, nobody);  // says what is wrong
  for (const std::string& option : options) {
    const std::string name = option.substr(0, option.find('=')).substr(std::min<std::size_t>(option.size(), 2));
    if (!option.starts_with("--") || own.find_nothrow(name, false) != nullptr) {
      fail(ErrorKind::Usage, "--run takes an option that winnow run alone has, as --run=--threads=2, is '{}'", option);
    }
  }
  return options;
}

class SubmitVerb {
 public:
  SubmitVerb(const po::variables_map& given, std::ostream& out, std::ostream& err)
      : given_(given),
        out_(out),
        err_(err),
        run_options_(checked_run_options(texts("run"))),
        site_(site_of(given)),
        plan_(planned()) {
    notes_ = plan_.sweep.notes;
    if (plan_.sweep.stop) asked_shards_ = 1;  // all that compete are trained by one job
    if (!given.contains("shards")) return;
    const int shards = given["shards"].as<int>();
    if (shards < 1 || shards > kMostShards)
      fail(ErrorKind::Usage, "--shards must be 1 to {}, is {}", kMostShards, shards);
    if (plan_.sweep.stop && shards > 1) {
      fail(ErrorKind::Usage, "a sweep with a rule that stops trials ({}) is for one job, and not for --shards {}",
           plan_.sweep.stop->text(), shards);
    }
    asked_shards_ = shards;
  }

  int run() {
    request_ = {.out = out_folder(),
                .sweep = plan_.sweep.name,
                .plan = plan_digest(trials()),
                .deal = {},
                .shards = 0,
                .arrays = {},
                .site = site_,
                .launch = {},
                .command = {}};
    std::vector<ShardChoice::Left> left = find_left();
    if (left.empty()) return say_nothing(fmt::format("all {} have results", counted(trials().size(), "trial")));
    find_jobs();
    if (!prints()) refuse_uncertain(out_folder(), known_);
    const SlurmLimits limits = slurm_.limits(site_.account);
    choice_.emplace(ShardChoice::Given{.files = files_,
                                       .out = out_folder(),
                                       .trials = trials(),
                                       .site = site_,
                                       .known = known_,
                                       .limits = limits,
                                       .shards = asked_shards_,
                                       .shows = prints()},
                    request_.plan, std::move(left));
    notes_.insert(notes_.end(), choice_->notes().begin(), choice_->notes().end());
    request_.shards = choice_->shards();
    request_.deal = choice_->deal_name();
    if (choice_->wanted().empty()) return say_nothing("all that is left is in jobs that wait or run");
    request_.arrays =
        split_shards(choice_->wanted(), limits.array_size.value_or(kUsualArraySize), choice_->array_tasks());
    keep_from_failed_nodes();
    request_.site = site_;
    request_.command = command();
    request_.launch = launch_words(site_, site_.launch != "auto" || slurm_.starts_pmix());
    note_timeouts();
    note_preemption();
    return prints() ? print() : submit();
  }

 private:
  const TrialTable& trials() const { return plan_.sweep.trials; }
  const fs::path& out_folder() const { return plan_.arguments.out; }
  bool prints() const { return given_.contains("print"); }

  Strings texts(const char* option) const { return given_.contains(option) ? given_[option].as<Strings>() : Strings(); }

  SweepPlan planned() const {
    SweepArguments arguments = sweep_arguments(given_);
    std::error_code missing;
    if (arguments.sweep == "-" ||
        (fs::exists(arguments.sweep, missing) && !fs::is_regular_file(arguments.sweep, missing))) {
      fail(ErrorKind::Usage, "'{}' is no file: each job reads the sweep itself when it starts",
           arguments.sweep.string());
    }
    return make_plan(std::move(arguments));
  }

  std::vector<ShardChoice::Left> find_left() const {
    std::vector<ShardChoice::Left> left;
    for (std::size_t at = 0; at < trials().size(); ++at) {
      if (!plan_.results.is_open(at)) continue;
      left.push_back(
          {at, {.label = label_of(trials()[at].settings), .seconds = plan_.of(at).cost.seconds, .shard = 0}});
    }
    return left;
  }

  // With --print nothing depends on a Slurm that can be asked.
  void find_jobs() {
    try {
      known_ = look_at_jobs(files_, out_folder(), slurm_, prints() ? 0 : site_.ask_every);
    } catch (const Error& error) {
      if (!prints()) throw;
      notes_.push_back(fmt::format("jobs of earlier submissions are not looked at: {}", error.what()));
    }
  }

  std::string command() const {
    Strings words = {program_for_jobs(), "run", plan_.arguments.sweep.string(), "-o", given_["out"].as<std::string>()};
    for (const char* option : {"set", "only"}) {
      for (const std::string& text : texts(option)) words.insert(words.end(), {std::string("--") + option, text});
    }
    if (given_.contains("device")) words.insert(words.end(), {"--device", given_["device"].as<std::string>()});
    if (given_.contains("ranks-per-trial")) {
      words.insert(words.end(), {"--ranks-per-trial", std::to_string(given_["ranks-per-trial"].as<int>())});
    }
    if (given_.contains("smoke")) words.push_back("--smoke");
    words.insert(words.end(), run_options_.begin(), run_options_.end());
    std::string text;
    for (const std::string& word : words) text += shell_quoted(word) + " ";
    return text + fmt::format("--shard \"$SHARD/{}\" --deal {}", request_.shards, shell_quoted(request_.deal));
  }

  // Every start of this folder's jobs in the last two weeks: what was before is of other times, and a long answer.
  const std::vector<SlurmTask>& accounts() {
    if (!accounts_) {
      constexpr std::int64_t kTwoWeeks = 14 * 86400;
      std::int64_t since = unix_now();
      for (const KnownJob& job : known_.jobs) since = std::min(since, job.submission.created);
      since = std::max(since, unix_now() - kTwoWeeks);
      accounts_ =
          known_.jobs.empty() ? std::vector<SlurmTask>() : slurm_.accounted(since).value_or(std::vector<SlurmTask>());
    }
    return *accounts_;
  }

  void keep_from_failed_nodes() {
    if (!site_.exclude_failed) return;
    std::set<std::string> jobs;
    for (const KnownJob& job : known_.jobs) jobs.insert(job.submission.job_name);
    FailedNodes failed = failed_nodes(accounts(), jobs);
    for (const std::string& node : failed.exclude) site_.exclude += (site_.exclude.empty() ? "" : ",") + node;
    notes_.insert(notes_.end(), failed.notes.begin(), failed.notes.end());
  }

  // Who submits again what was killed at its limit is told so, unless the limit is another one now.
  void note_timeouts() {
    for (const KnownJob& job : known_.jobs) {
      const Submission& one = job.submission;
      if (one.plan != request_.plan || one.job == 0 || one.time_limit != site_.time) continue;
      std::map<int, std::string> ended;  // how, by index: the last of its starts counts
      const auto look = [&](const std::vector<SlurmTask>& tasks) {
        for (const SlurmTask& task : tasks) {
          if (task.name == one.job_name) ended[task.index] = task.state;
        }
      };
      look(accounts());
      for (const KnownJob& other : known_.jobs) look(other.tasks);
      std::erase_if(ended, [](const auto& task) { return task.second != "TIMEOUT"; });
      if (ended.empty()) continue;
      notes_.push_back(fmt::format(
          "{} of job {} ended at the limit of {} before all was saved; it is the same limit again (--time gives "
          "more, --notice says so earlier)",
          counted(ended.size(), "task"), one.job, site_.time));
    }
  }

  void note_preemption() {
    if (!slurm_.cancels_preempted(site_.partition)) return;
    notes_.push_back(
        "what is preempted there is cancelled at once and for good (PreemptMode=CANCEL, no GraceTime), and not "
        "requeued: "
        "this same command starts it again, from its checkpoints");
  }

  nlohmann::ordered_json json_head() const {
    return {{"schema", "winnow-submit"},   {"schema_version", "1.0"},      {"sweep", request_.sweep},
            {"plan", request_.plan},       {"out", out_folder().string()}, {"trials", trials().size()},
            {"done", plan_.totals().done}, {"shards", request_.shards},    {"notes", notes_}};
  }

  int say_nothing(const std::string& why) const {
    if (given_.contains("json")) {
      auto json = json_head();
      json["submissions"] = nlohmann::ordered_json::array();
      write_json(out_, json);
      return 0;
    }
    out_ << fmt::format("{}  nothing to submit: {}\n", request_.sweep, why);
    say_notes(out_);
    out_ << fmt::format("next   winnow status {}\n", shell_quoted(out_folder().string()));
    return 0;
  }

  void say_head(std::ostream& to) const {
    const std::size_t left = choice_->left().size(), measured = plan_.results.times.size();
    to << fmt::format(
        "{}  {}, {} done; {} to train in {} of {}, about {} each ({})\n", request_.sweep,
        counted(trials().size(), "trial"), plan_.totals().done, left, counted(choice_->wanted().size(), "shard"),
        request_.shards, duration_text(plan_.totals().seconds / request_.shards),
        measured > 0 ? fmt::format("by {}", counted(measured, "finished trial")) : "by the speed of a core here");
    say_notes(to);
  }

  void say_notes(std::ostream& to) const {
    constexpr std::size_t kShown = 12;
    for (std::size_t i = 0; i < std::min(notes_.size(), kShown); ++i) to << "  note " << notes_[i] << "\n";
    if (notes_.size() > kShown) to << fmt::format("  and {} more (--json has them)\n", notes_.size() - kShown);
  }

  // The words for people do not disturb who saves the script.
  int print() {
    Submitter submitter(files_, slurm_, unix_now);
    auto json = json_head();
    json["scripts"] = nlohmann::ordered_json::array();
    if (!given_.contains("json")) say_head(err_);
    int number = known_.jobs.empty() ? 0 : known_.jobs.back().submission.number;
    for (const ShardArray& array : request_.arrays) {
      const std::string text = submitter.script(request_, submitter.draft(request_, array, ++number));
      json["scripts"].push_back(text);
      if (!given_.contains("json")) out_ << text;
    }
    if (given_.contains("json")) write_json(out_, json);
    return 0;
  }

  int submit() {
    const bool json_wanted = given_.contains("json");
    if (!json_wanted) say_head(out_);  // before, so that nobody is surprised
    out_.flush();
    Submitter submitter(files_, slurm_, unix_now);
    // What cannot be a script is refused before anything is written.
    for (const ShardArray& array : request_.arrays) submitter.script(request_, submitter.draft(request_, array, 0));
    write_plan(files_, out_folder(), trials());
    archive_sweep(files_, out_folder(), plan_.sweep.text);
    choice_->write_deal();
    std::vector<Submission> all;
    try {
      all = submitter.submit(request_, known_);
    } catch (const Error&) {
      remove_unused_deal();
      throw;
    }
    remove_unused_deal();
    const Submission& last = all.back();
    if (json_wanted) {
      auto json = json_head();
      for (const Submission& one : all) json["submissions"].push_back(submission_json(one));
      write_json(out_, json);
    } else {
      for (const Submission& one : all) {
        if (one.state != Submission::State::Submitted) continue;
        out_ << fmt::format("job {}  shards {}  {}\n", one.job, shards_text(one),
                            script_of(out_folder(), one.number).string());
      }
      const std::string place = shell_quoted(out_folder().string());
      if (last.state == Submission::State::Submitted) {
        out_ << fmt::format("next   winnow status {}      (winnow cancel {} takes it back)\n", place, place);
      }
    }
    out_.flush();
    if (last.state == Submission::State::Submitted) return 0;
    const std::string others = all.size() > 1 ? "; jobs of the shards before are submitted" : "; nothing is submitted";
    if (last.state == Submission::State::Refused) {
      fail(ErrorKind::Site, "sbatch refuses shards {}: {}{}", shards_text(last), last.reason, others);
    }
    fail(ErrorKind::Unavailable,
         "submission {} (shards {}) is uncertain: {}; Slurm may have it or not, and nobody submits it again before "
         "winnow reconcile {} has asked",
         last.number, shards_text(last), last.reason, out_folder().string());
  }

  // By the records: of several arrays the first may be submitted and another not.
  void remove_unused_deal() {
    for (const Submission& one : read_submissions(files_, out_folder())) {
      const bool goes_by_it = one.state == Submission::State::Submitted || one.state == Submission::State::Uncertain;
      if (one.deal == request_.deal && goes_by_it) return;
    }
    choice_->remove_deal();
  }

  const po::variables_map& given_;
  std::ostream &out_, &err_;
  Strings run_options_;
  Site site_;
  SweepPlan plan_;
  PosixFiles files_;
  Slurm slurm_;
  std::optional<int> asked_shards_;
  KnownJobs known_;
  std::optional<std::vector<SlurmTask>> accounts_;
  std::optional<ShardChoice> choice_;
  SubmitRequest request_;
  Strings notes_;
};

}  // namespace

void add_submit_options(VerbOptions& options) {
  add_sweep_options(options);
  add_ranks_option(options);
  options.add_options()(
      "shards", po::value<int>(),
      "parts that take about as long each, a task of an array for each; without it as many as let a job "
      "do its own in half of its time")("print", "shows the batch scripts; writes and submits nothing")(
      "site", po::value<std::string>(), "profile of the site, a YAML file (slurm/site.yaml); without it $WINNOW_SITE")(
      "run", po::value<Strings>()->composing(), "OPTION: one more for winnow run in each job, as --run=--threads=2")(
      "sbatch", po::value<Strings>()->composing(), "OPTION: one more for sbatch, as --sbatch=--qos=long")(
      "json", "one JSON object");
  for (const Setting& setting : site_settings()) {
    options.add_options()(option_of(setting).c_str(), po::value<std::string>(), setting.meaning.c_str());
  }
}

int run_submit(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto given = parse_arguments("submit", args, out);
  if (!given) return 0;
  return SubmitVerb(*given, out, err).run();
}

}  // namespace winnow
