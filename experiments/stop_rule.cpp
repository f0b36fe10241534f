#include "experiments/stop_rule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "experiments/data/digest.h"

namespace winnow {

std::string StopRule::text() const {
  const std::string own =
      kind == Kind::Median ? fmt::format("every: {}ep, trials: {}", every, trials) : fmt::format("eta: {}", eta);
  return fmt::format("{}: {{metric: {}, min: {}ep, {}, by: [{}]}}", stop_kinds()[static_cast<std::size_t>(kind)],
                     metric, min, own, fmt::join(by, ", "));
}

std::string StopRule::key() const {
  const std::string words = text();
  return sha256_hex(std::as_bytes(std::span(words))).substr(0, 20);
}

std::vector<std::int64_t> StopRule::rungs(std::int64_t epochs) const {
  std::vector<std::int64_t> all;
  for (std::int64_t at = min; at < epochs; at = kind == Kind::Median ? at + every : at * eta) all.push_back(at);
  return all;
}

std::int64_t judged_after(std::int64_t rung, std::int64_t eval_every) {
  return (rung + eval_every - 1) / eval_every * eval_every;
}

const std::vector<std::string>& stop_kinds() {
  static const std::vector<std::string> kinds = {"asha", "halving", "hyperband", "median"};
  return kinds;
}

const std::vector<std::string>& stop_metrics() {
  static const std::vector<std::string> metrics = {"val_acc",   "val_loss",  "test_acc",
                                                   "test_loss", "train_acc", "train_loss"};
  return metrics;
}

std::string to_json(const StopRule& rule) {
  return nlohmann::json{{"kind", static_cast<int>(rule.kind)},
                        {"metric", rule.metric},
                        {"min", rule.min},
                        {"eta", rule.eta},
                        {"every", rule.every},
                        {"trials", rule.trials},
                        {"by", rule.by}}
      .dump();
}

StopRule stop_rule_of(const std::string& json) {
  const auto read = nlohmann::json::parse(json);
  return {.kind = static_cast<StopRule::Kind>(read.at("kind").get<int>()),
          .metric = read.at("metric"),
          .min = read.at("min"),
          .eta = read.at("eta"),
          .every = read.at("every"),
          .trials = read.at("trials"),
          .by = read.at("by")};
}

}  // namespace winnow
