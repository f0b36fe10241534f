// `winnow plan`: what a sweep file stands for, what of it is done, and what the rest will cost.
#include "experiments/cli/options.h"
#include "experiments/cli/sweep_plan.h"
#include "experiments/cli/verbs.h"

namespace winnow {

void add_plan_options(VerbOptions& options) {
  add_sweep_options(options);
  options.add_options()("all", "list every configuration")("events", "the steps at which methods act")(
      "json", "one JSON object");
}

namespace {

// As a shell reads it back.
std::string quoted(const std::string& arg) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+=./:,@%";
  if (!arg.empty() && arg.find_first_not_of(kPlain) == std::string::npos) return arg;
  std::string text = "'";
  for (const char c : arg) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

int run_plan(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("plan", args, out);
  if (!given) return 0;
  SweepPlan plan = make_plan(sweep_arguments(*given));
  for (const std::string& arg : args) {
    if (arg == "--all" || arg == "--events" || arg == "--json") continue;
    plan.run_arguments += (plan.run_arguments.empty() ? "" : " ") + quoted(arg);
  }
  if (given->contains("json")) {
    print_json(out, plan);
  } else {
    print_text(out, plan, given->contains("all"), given->contains("events"));
  }
  return 0;
}

}  // namespace winnow
