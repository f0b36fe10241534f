#include "experiments/submit/submission.h"

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "experiments/results/json_number.h"
#include "experiments/results/layout.h"
#include "experiments/results/shard_plan.h"
#include "experiments/submit/index_list.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kIntentEnding = ".intent.json", *kAnswerEnding = ".answer.json";
constexpr const char* kSubmissionSchema = "winnow-submission";
constexpr const char* kSubmissionVersion = "1.1";
constexpr int kMostNumber = 999'999;

std::filesystem::path record_of(const std::filesystem::path& out, int number, const char* ending) {
  return Layout(out).submissions() / fmt::format("{:04}{}", number, ending);
}

bool write_record(Files& files, const std::filesystem::path& path, const Json& json) {
  const std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  return files.write_once(path, std::as_bytes(std::span(text)));
}

Json parse_record(Files& files, const std::filesystem::path& path) {
  const Json json = Json::parse(read_text(files, path), nullptr, false);
  if (!json.is_object() || json.value("schema", "") != kSubmissionSchema ||
      !json.value("schema_version", "").starts_with("1.")) {
    fail(ErrorKind::Input, "{}: is no record of a submission that this version reads", path.string());
  }
  return json;
}

Submission parse_intent(const Json& json) {
  Submission submission;
  submission.number = integer_in<int>(json, "number");
  submission.job_name = json.at("job_name").get<std::string>();
  submission.sweep = json.at("sweep").get<std::string>();
  submission.plan = json.at("plan").get<std::string>();
  submission.deal = json.at("deal").get<std::string>();
  submission.shards = integer_in<int>(json, "shards");
  submission.offset = integer_in<int>(json, "offset");
  submission.indices = read_index_list(json.at("indices").get<std::string>());
  submission.time_limit = json.at("time_limit").get<std::string>();
  submission.host = json.at("host").get<std::string>();
  submission.user = json.value("user", "");
  submission.user_id = integer_in(json, "user_id", std::int64_t{-1});
  submission.process = integer_in(json, "process");
  submission.created = integer_in(json, "created");
  return submission;
}

// A record is of whoever may write into the folder, and what it says goes into scripts and names of files. These are the only
// texts of it that do.
bool is_sound(const Submission& one) {
  constexpr std::string_view kOfNames = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return is_deal_name(one.deal) && !one.job_name.empty() && one.job_name.front() != '-' &&
         one.job_name.find_first_not_of(kOfNames) == std::string::npos && one.shards >= 1 &&
         one.shards <= kMostShards && one.offset >= 0 && !one.indices.empty() &&
         one.indices.back() < one.shards - one.offset;
}

constexpr std::array<std::pair<Submission::State, const char*>, 3> kAnswers = {
    {{Submission::State::Submitted, "submitted"},
     {Submission::State::Refused, "refused"},
     {Submission::State::Absent, "absent"}}};

// False: it says nothing that is known.
bool take_answer(const Json& json, Submission& submission) {
  submission.job = integer_in(json, "job", std::int64_t{0});
  submission.reason = json.value("reason", "");
  for (const auto& [state, name] : kAnswers) {
    if (json.at("state") == name) submission.state = state;
  }
  return submission.state == Submission::State::Submitted ? submission.job > 0
                                                          : submission.state != Submission::State::Uncertain;
}

}  // namespace

std::vector<Submission> read_submissions(Files& files, const std::filesystem::path& out) {
  std::vector<Submission> all;
  for (const std::string& name : files.list(Layout(out).submissions())) {
    if (!name.ends_with(kIntentEnding)) continue;
    const auto path = Layout(out).submissions() / name;
    try {
      Submission& submission = all.emplace_back(parse_intent(parse_record(files, path)));
      const auto answer = record_of(out, submission.number, kAnswerEnding);
      const bool whole = record_of(out, submission.number, kIntentEnding) == path && is_sound(submission) &&
                         (!files.exists(answer) || take_answer(parse_record(files, answer), submission));
      if (whole) continue;
    } catch (const nlohmann::json::exception&) {
    }
    fail(ErrorKind::Input, "{}: is damaged, or its answer is", path.string());
  }
  std::ranges::sort(all, {}, &Submission::number);  // names sort otherwise from 10000 on
  return all;
}

bool write_intent(Files& files, const std::filesystem::path& out, const Submission& submission) {
  if (submission.number > kMostNumber) fail(ErrorKind::Io, "{}: holds too many submissions", out.string());
  return write_record(files, record_of(out, submission.number, kIntentEnding),
                      {{"schema", kSubmissionSchema},
                       {"schema_version", kSubmissionVersion},
                       {"number", submission.number},
                       {"job_name", submission.job_name},
                       {"sweep", submission.sweep},
                       {"plan", submission.plan},
                       {"deal", submission.deal},
                       {"shards", submission.shards},
                       {"offset", submission.offset},
                       {"indices", index_list(submission.indices)},
                       {"time_limit", submission.time_limit},
                       {"host", submission.host},
                       {"user", submission.user},
                       {"user_id", submission.user_id},
                       {"process", submission.process},
                       {"created", submission.created}});
}

void write_answer(Files& files, const std::filesystem::path& out, const Submission& submission) {
  Json json = {{"schema", kSubmissionSchema}, {"schema_version", kSubmissionVersion}, {"number", submission.number}};
  for (const auto& [state, name] : kAnswers) {
    if (submission.state == state) json["state"] = name;
  }
  if (submission.state == Submission::State::Submitted) json["job"] = submission.job;
  if (!submission.reason.empty()) json["reason"] = submission.reason;
  write_record(files, record_of(out, submission.number, kAnswerEnding), json);
}

std::filesystem::path script_of(const std::filesystem::path& out, int number) {
  return Layout(out).submissions() / fmt::format("{:04}.sbatch", number);
}

std::string new_token() {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) {
    fail(ErrorKind::Unavailable, "the system gives no random numbers for the name of a job");
  }
  return fmt::format("{:016x}", random);
}

}  // namespace winnow
