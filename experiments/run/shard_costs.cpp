#include "experiments/run/shard_costs.h"

#include <optional>

#include "core/error.h"
#include "experiments/run/estimate.h"
#include "experiments/run/known_results.h"
#include "experiments/run/shard_assignment.h"

namespace winnow {

ShardPlan deal_out(Files& files, const std::filesystem::path& out, const TrialTable& trials, int shards) {
  Estimator estimator;
  std::vector<std::optional<Expected>> of_setup(trials.setups());
  const auto estimated = [&](std::size_t at) {
    std::optional<Expected>& expected = of_setup[trials.setup(at)];
    if (!expected) {
      const TrialEstimate& cost = estimator(trials[at]);
      expected = Expected{cost.seconds, cost.result_bytes};
    }
    return *expected;
  };
  const KnownResults known = known_results(files, out, trials, estimated);
  const auto factor = known.times.factors(trials);
  ShardPlan plan;
  plan.costs.assign(trials.size(), 0);
  for (std::size_t at = 0; at < trials.size(); ++at) {
    if (known.is_open(at)) plan.costs[at] = estimated(at).seconds * factor(at) * trials.ranks(at);
  }
  plan.shard_of = assign_shards(trials, plan.costs, shards);
  return plan;
}

ShardPlan agreed_shards(Files& files, const std::filesystem::path& out, const TrialTable& trials, const Deal& deal) {
  if (auto dealt = read_shards(files, out, trials, deal)) return std::move(*dealt);
  ShardPlan own = deal_out(files, out, trials, deal.shards);
  if (write_shards(files, out, trials, deal, own)) return own;
  auto dealt = read_shards(files, out, trials, deal);
  if (!dealt) fail(ErrorKind::Io, "{}: a deal of shards was removed while it was read", out.string());
  return std::move(*dealt);
}

}  // namespace winnow
