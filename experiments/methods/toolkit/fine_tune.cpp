#include "experiments/methods/toolkit/fine_tune.h"

#include <algorithm>

#include "core/train_settings.h"

namespace winnow {
namespace {

constexpr const char* kPrefix = "fine_tune.";

}  // namespace

Schema fine_tune_schema(const std::string& epochs, const std::string& lr, const std::string& source) {
  Schema schema;
  for (Setting setting : train_schema()) {
    if (setting.key != "epochs" && setting.key != "lr" && !setting.key.starts_with("schedule.")) continue;
    if (setting.key == "epochs") {
      setting.fallback = epochs;
      setting.range = Range{0, setting.range->high};
      setting.meaning = "length of fine-tuning; 0: none";
      setting.source = source;
    } else if (setting.key == "lr") {
      setting.fallback = lr;
      setting.source = source;
    } else {
      setting.source = "as train." + setting.key;
    }
    if (setting.key != "epochs") {
      // Read where there is fine-tuning at all.
      if (setting.read_when.empty()) setting.read_when.emplace_back();
      for (auto& conditions : setting.read_when) {
        for (Condition& condition : conditions) condition.key = kPrefix + condition.key;
        conditions.push_back(unless(std::string(kPrefix) + "epochs", {"0ep"}));
      }
    }
    setting.key = kPrefix + setting.key;
    if (setting.kind == Setting::Kind::Length || setting.kind == Setting::Kind::LengthList) {
      setting.span = Span{.until = std::string(kPrefix) + "epochs", .with_end = setting.key.ends_with("epochs")};
    }
    schema.push_back(std::move(setting));
  }
  return schema;
}

std::optional<Phase> fine_tune_phase(const Settings& method, std::int64_t first_step, const RunLength& length) {
  const Settings own = method.below("fine_tune");
  const RunLength run{length.resolve(own.length("epochs")), length.steps_per_epoch};
  if (run.steps == 0) return std::nullopt;
  return Phase{.name = "fine_tune",
               .start = Phase::Start::Continue,
               .first_step = first_step,
               .last_step = first_step + run.steps,
               .learning_rate = [rate = LearningRate(own, run, std::string("method.") + kPrefix)](
                                    std::int64_t updates) { return rate.at(updates); }};
}

Phase fine_tune_tail(const Length& steps, const RunLength& length) {
  return {.name = "fine_tune",
          .start = Phase::Start::Continue,
          .first_step = std::max<std::int64_t>(length.steps - length.resolve(steps), 0),
          .last_step = length.steps};
}

}  // namespace winnow
