#include "experiments/cli/status_json.h"

#include <optional>
#include <utility>

#include "core/error.h"
#include "experiments/cli/submission_json.h"
#include "experiments/sweep/need_links.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;

Json or_null(const std::optional<double>& number) { return number ? Json(*number) : Json(); }

Json saved_json(const SweepStatus& status, const std::string& trial) {
  const auto found = status.saved.find(trial);
  return found == status.saved.end() ? Json() : Json(found->second);
}

Json running_json(const SweepStatus& status, const std::vector<RunningTrial>& trials) {
  auto rows = Json::array();
  for (const RunningTrial& t : trials) {
    rows.push_back({{"name", t.name},
                    {"label", t.label},
                    {"host", t.host},
                    {"ranks", t.ranks},
                    {"step", t.progress.step},
                    {"steps", t.progress.steps},
                    {"saved_step", saved_json(status, t.name)},
                    {"loss", or_null(t.progress.loss)},
                    {"test_acc", or_null(t.progress.test_acc)},
                    {"images_per_second", t.progress.images_per_second},
                    {"seconds_left", or_null(seconds_left_of(t, status.mean_seconds))},
                    {"updated", t.updated}});
  }
  return rows;
}

}  // namespace

std::vector<std::string> needed_by(const PlannedTrial& trial) {
  const Settings settings = settings_of_plan(trial.canonical);
  std::vector<std::string> needs;
  if (!settings.has("method.name")) return needs;
  for (const NeedReference& reference : need_references(catalog(), settings)) {
    needs.push_back(settings.text(reference.key) + trial.name.substr(trial.name.rfind("-r")));
  }
  return needs;
}

Json status_json(Files& files, const std::filesystem::path& place, const SweepStatus& s) {
  Json json = {{"schema", "winnow-status"}, {"schema_version", "1.6"}, {"planned", s.planned}, {"done", s.done.size()}};
  json["diverged"] = s.diverged;
  json["stopped"] = s.stopped;
  json["failed"] = Json::array();
  for (const auto& f : s.failed) {
    json["failed"].push_back({{"name", f.name}, {"reason", f.reason}, {"time", f.time}, {"attempts", f.attempts}});
  }
  json["running"] = running_json(s, s.running);
  json["stale"] = running_json(s, s.stale);
  json["damaged"] = Json::array();
  for (const auto& d : s.damaged) json["damaged"].push_back({{"name", d.name}, {"reason", d.reason}});
  json["missing"] = Json::array();
  for (const auto& m : s.missing)
    json["missing"].push_back(
        {{"name", m.name}, {"settings", m.canonical}, {"saved_step", saved_json(s, m.name)}, {"needs", needed_by(m)}});
  json["earlier"] = s.earlier;
  const TimeSpent& spent = s.runs.spent;
  json["seconds_spent"] = {
      {"useful", spent.useful}, {"unsaved", spent.unsaved}, {"lost", spent.preempted}, {"failed", spent.failed}};
  const double all = spent.all();
  json["shares"] = all > 0 ? Json{{"useful", spent.useful / all},
                                  {"lost_to_preemption", spent.preempted / all},
                                  {"lost_to_failures", spent.failed / all},
                                  {"not_saved_yet", spent.unsaved / all}}
                           : Json();
  json["runs"] = Json::array();
  for (const LiveRun& run : s.runs.live) {
    json["runs"].push_back({{"part", run.part},
                            {"attempt", run.attempt},
                            {"host", run.host},
                            {"trials", run.trials},
                            {"in_work", run.in_work},
                            {"done", run.done},
                            {"trials_per_hour", or_null(run.trials_per_hour())},
                            {"images_per_second", run.images_per_second},
                            {"seconds_left", or_null(run.seconds_left())},
                            {"heard", run.heard}});
  }
  json["submissions"] = Json();
  try {
    Json submissions = Json::array();
    for (const Submission& one : read_submissions(files, place)) submissions.push_back(submission_json(one));
    json["submissions"] = std::move(submissions);
  } catch (const Error& error) {
    json["submissions_problem"] = error.what();
  }
  json["seconds_per_trial"] = s.mean_seconds;
  json["trials_per_hour"] = or_null(s.trials_per_hour);
  json["seconds_left"] = or_null(s.seconds_left);
  return json;
}

}  // namespace winnow
