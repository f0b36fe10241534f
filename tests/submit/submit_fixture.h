// The verbs that submit jobs, as a user types them, with a Slurm of small scripts. Header only.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "experiments/submit/known_jobs.h"
#include "experiments/submit/submission.h"
#include "tests/submit/fake_slurm.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {

class SubmitFixture : public RunFixture {
 protected:
  SubmitFixture() : RunFixture("  - replicate: 12\n") {}
  RunSaid submit(std::vector<std::string> more = {}) const {
    std::vector<std::string> args = {"submit", "--ask-every", "0"};
    if (std::ranges::find(more, "--time") == more.end()) more.insert(more.end(), {"--time", "01:00:00"});
    args.insert(args.end(), more.begin(), more.end());
    return winnow(args);
  }
  // A verb of the folder of results.
  RunSaid ask(std::vector<std::string> args) const {
    args.insert(args.begin() + 1, out().string());
    std::ostringstream text, errors;
    const int code = run_command_line(args, text, errors);
    // The next question need not wait for this one.
    std::filesystem::remove(out() / "slurm/asked");
    return {code, text.str(), errors.str()};
  }
  std::vector<Submission> records() const { return read_submissions(files_, out()); }
  std::string script(int number) const {
    std::ifstream file(script_of(out(), number));
    return std::string((std::istreambuf_iterator<char>(file)), {});
  }
  // Shards by how often they are in the queue.
  std::map<std::string, int> submitted() const {
    std::map<std::string, int> count;
    for (const Submission& one : records()) {
      for (const std::string& line : slurm_.lines("jobs")) {
        if (line.ends_with("|" + one.job_name)) {
          const std::size_t at = line.find('|') + 1;
          ++count[fmt::format("{}/{}", one.shard(std::stoi(line.substr(at))), one.shards)];
        }
      }
    }
    return count;
  }
  // As if minutes had passed: what is uncertain is no longer on its way.
  void make_old() const {
    for (const auto& entry : std::filesystem::directory_iterator(out() / "slurm")) {
      if (!entry.path().string().ends_with(".intent.json")) continue;
      auto json = nlohmann::ordered_json::parse(text_of(files_.read(entry.path())));
      json["created"] = json["created"].get<std::int64_t>() - kArrival;
      files_.replace(entry.path(), json.dump());
    }
  }

  FakeSlurm slurm_;
};

}  // namespace winnow::test
