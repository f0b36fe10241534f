#include "experiments/cli/submission_json.h"

#include <vector>

#include "experiments/submit/index_list.h"

namespace winnow {

std::string shards_text(const Submission& submission) {
  std::vector<int> shards;
  for (const int index : submission.indices) shards.push_back(submission.shard(index));
  return index_list(shards);
}

const char* submission_state(Submission::State state) {
  switch (state) {
    case Submission::State::Uncertain:
      return "uncertain";
    case Submission::State::Submitted:
      return "submitted";
    case Submission::State::Refused:
      return "refused";
    case Submission::State::Absent:
      return "absent";
  }
  return "";
}

nlohmann::ordered_json submission_json(const Submission& submission) {
  nlohmann::ordered_json json = {
      {"number", submission.number},
      {"state", submission_state(submission.state)},
      {"job", submission.job == 0 ? nlohmann::ordered_json() : nlohmann::ordered_json(submission.job)},
      {"job_name", submission.job_name},
      {"sweep", submission.sweep},
      {"shards", shards_text(submission)},
      {"of", submission.shards},
      {"deal", submission.deal},
      {"time_limit", submission.time_limit},
      {"user", submission.user.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(submission.user)},
      {"created", submission.created}};
  if (!submission.reason.empty()) json["reason"] = submission.reason;
  return json;
}

}  // namespace winnow
