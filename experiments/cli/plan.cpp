// `winnow plan`: what a sweep file stands for, what of it is done, and what the rest will cost.
#include "experiments/cli/options.h"
#include "experiments/cli/sweep_plan.h"
#include "experiments/cli/verbs.h"
#include "experiments/text.h"

namespace winnow {

void add_plan_options(VerbOptions& options) {
  add_sweep_options(options);
  options.add_options()("all", "list every configuration")("events", "the steps at which methods act")(
      "json", "one JSON object");
}

int run_plan(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("plan", args, out);
  if (!given) return 0;
  SweepPlan plan = make_plan(sweep_arguments(*given));
  for (const std::string& arg : args) {
    if (arg == "--all" || arg == "--events" || arg == "--json") continue;
    plan.run_arguments += (plan.run_arguments.empty() ? "" : " ") + shell_quoted(arg);
  }
  if (given->contains("json")) {
    print_json(out, plan);
  } else {
    print_text(out, plan, given->contains("all"), given->contains("events"));
  }
  return 0;
}

}  // namespace winnow
