// `winnow plan`: what a sweep file stands for, what of it is done, and what the rest will cost.
#include "core/error.h"
#include "experiments/cli/options.h"
#include "experiments/cli/sweep_plan.h"
#include "experiments/cli/verbs.h"
#include "experiments/text.h"

namespace winnow {

void add_plan_options(VerbOptions& options) {
  add_sweep_options(options);
  options.add_options()("all", "list every configuration")("events", "the steps at which methods act")(
      "shards", boost::program_options::value<int>(),
      "N: how N jobs share the trials, each by winnow run --shard I/N: as dealt, or as they would be now")(
      "deal", boost::program_options::value<std::string>(), "NAME: with --shards, those of winnow run --deal NAME")(
      "json", "one JSON object");
}

int run_plan(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("plan", args, out);
  if (!given) return 0;
  SweepPlan plan = make_plan(sweep_arguments(*given));
  if (given->contains("shards")) {
    const int shards = given->at("shards").as<int>();
    if (shards < 1 || shards > kMostShards) {
      fail(ErrorKind::Usage, "--shards must be 1 to {}, is {}", kMostShards, shards);
    }
    plan_shards(plan, {shards, deal_name(*given)});
  } else if (given->contains("deal")) {
    fail(ErrorKind::Usage, "--deal says which shards --shards N are, and there is no --shards");
  }
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--shards") ++i;  // and its number
    if (arg == "--all" || arg == "--events" || arg == "--json" || arg.starts_with("--shards")) continue;
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
