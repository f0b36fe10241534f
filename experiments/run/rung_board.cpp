#include "experiments/run/rung_board.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "experiments/results/container.h"
#include "experiments/results/json_number.h"
#include "experiments/results/layout.h"
#include "experiments/results/rung_claims.h"

namespace winnow {

RungBoard::RungBoard(Files& files, const std::filesystem::path& out, const StopRule& rule, const TrialTable& trials)
    : files_(files),
      folder_(Layout(out).rungs() / rule.key()),
      rule_(rule),
      table_(rule, contestants(rule, trials)),
      by_name_(trials.positions()) {
  refresh();
  refresh_claims();
}

void RungBoard::refresh_claims() {
  for (const RungClaim& claim : claims_in(files_, folder_)) {
    const auto trial = by_name_.find(claim.trial);
    if (trial == by_name_.end()) continue;
    const auto& rungs = table_.contestant(trial->second).rungs;
    const auto rung = std::ranges::find(rungs, claim.rung);
    if (rung != rungs.end()) table_.promote({trial->second, static_cast<std::size_t>(rung - rungs.begin())});
  }
}

bool RungBoard::refresh() {
  bool any = false;
  for (const auto& path : journals_in(files_, folder_)) {
    JournalReader& reader = readers_.try_emplace(path, path).first->second;
    for (const nlohmann::json& record : reader.more(files_)) {
      take_in(record);
      any = true;
    }
  }
  return any;
}

void RungBoard::take_in(const nlohmann::json& record) {
  try {
    const auto trial = by_name_.find(record.at("trial").get<std::string>());
    if (trial == by_name_.end()) return;  // of another sweep under the same rule
    const auto& rungs = table_.contestant(trial->second).rungs;
    const auto epochs = integer_in(record, "rung");
    const std::string kind = record.at("kind");
    const auto rung = static_cast<std::size_t>(std::ranges::find(rungs, epochs) - rungs.begin());
    if (kind == "failed" && (epochs == 0 || rung < rungs.size())) table_.fail({trial->second, rung});
    if (kind != "arrived" || rung == rungs.size()) return;
    const auto number = [&](const char* key) {
      const auto found = record.find(key);
      return found != record.end() && found->is_number() ? found->get<double>()
                                                         : std::numeric_limits<double>::quiet_NaN();
    };
    table_.arrive({trial->second, rung}, number("value"), number("mean"));
  } catch (const nlohmann::json::exception&) {  // of another version
  }
}

// Others come to the same list and begin with the same one: whoever makes the file has it.
std::optional<std::size_t> RungBoard::claim() {
  while (const auto step = table_.next()) {
    const Contestant& one = table_.contestant(step->trial);
    const bool made = files_.write_once(claim_path(folder_, {one.name, one.rungs[step->rung]}), {});
    if (made) let_past_.push_back(table_.decision(*step, true));
    table_.promote(*step);
    if (made) return step->trial;
  }
  return std::nullopt;
}

std::vector<RungDecision> RungBoard::decisions() {
  std::vector<RungDecision> all = std::exchange(let_past_, {});
  if (!arrived_.empty()) table_.next();
  std::erase_if(arrived_, [&](RungTable::Step at) {
    if (table_.target(at.trial) != at.rung) return true;  // it goes on
    if (!table_.stays(at)) return false;
    all.push_back(table_.decision(at, false));
    return true;
  });
  return all;
}

std::vector<RungDecision> RungBoard::stopped() {
  std::vector<RungDecision> all;
  table_.next();
  for (const auto& [name, trial] : by_name_) {
    const auto rung = table_.target(trial);
    if (rung && table_.stays({trial, *rung})) all.push_back(table_.decision({trial, *rung}, false));
  }
  std::ranges::sort(all, {}, &RungDecision::trial);
  return all;
}

std::optional<std::int64_t> RungBoard::target(std::size_t trial) const {
  const auto rung = table_.target(trial);
  return rung ? std::optional(table_.contestant(trial).rungs[*rung]) : std::nullopt;
}

Standing RungBoard::standing(const Table& epochs, std::int64_t rung) const {
  if (rule_.kind == StopRule::Kind::Median) return standing_at(epochs, rule_.metric, rule_.least_is_best(), rung);
  const Column *at = find_column(epochs, "epoch"), *of = find_column(epochs, rule_.metric);
  const auto* places = at == nullptr ? nullptr : std::get_if<std::vector<double>>(&at->values);
  const auto* values = of == nullptr ? nullptr : std::get_if<std::vector<double>>(&of->values);
  for (std::size_t row = 0; places != nullptr && values != nullptr && row < places->size(); ++row) {
    if ((*places)[row] >= static_cast<double>(rung)) return {.best = (*values)[row]};
  }
  return {};
}

void RungBoard::arrived(std::size_t trial, const Table& epochs) {
  const auto target = this->target(trial);
  if (!target) fail(ErrorKind::Internal, "trial {} came to a rung that it has not", table_.contestant(trial).name);
  note(trial, standing(epochs, *target));
  arrived_.push_back({trial, *table_.target(trial)});
}

void RungBoard::failed(std::size_t trial) { note(trial, std::nullopt); }

void RungBoard::finished(std::size_t trial, const Table& epochs) {
  while (const auto rung = table_.target(trial)) {
    if (!table_.has_arrived({trial, *rung})) note(trial, standing(epochs, table_.contestant(trial).rungs[*rung]));
    table_.promote({trial, *rung});
  }
  table_.finish(trial);
}

// Written before it counts here, so that no decision rests on what a kill can take away.
void RungBoard::note(std::size_t trial, std::optional<Standing> standing) {
  const auto number = [](double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
  };
  nlohmann::ordered_json record = {{"kind", standing ? "arrived" : "failed"},
                                   {"trial", table_.contestant(trial).name},
                                   {"rung", target(trial).value_or(0)},
                                   {"metric", rule_.metric}};
  record["value"] = number(standing.value_or(Standing{}).best);
  if (standing && rule_.kind == StopRule::Kind::Median) record["mean"] = number(standing->mean);
  if (!writer_) writer_ = std::make_unique<JournalWriter>(files_, JournalWriter::Folder{folder_}, "rungs");
  writer_->append(record);
  writer_->sync();
  take_in(nlohmann::json(record));
}

}  // namespace winnow
