#include "experiments/run/needed_trial.h"

#include <charconv>

#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/trial_setup.h"

namespace winnow {
namespace {

// The seed of its initial values, unless they came from another file.
std::optional<std::uint64_t> init_seed(const TrialResult& result) {
  const auto seed = result.provenance.find("seed.init");
  if (seed == result.provenance.end() || result.lineage.contains("start")) return std::nullopt;
  std::uint64_t value = 0;
  const char *first = seed->second.data(), *last = first + seed->second.size();
  if (std::from_chars(first, last, value) != std::from_chars_result{last, std::errc()}) return std::nullopt;
  return value;
}

Needed::Network kind_of_network(const TrialSetup& setup) {
  const Touches touches = setup.method()->touches();
  if (touches.evaluation) return Needed::Network::Other;
  return touches.structure ? Needed::Network::Extended : Needed::Network::Model;
}

}  // namespace

Needed load_needed(Files& files, const std::filesystem::path& out, const TrialNeed& need) {
  const auto path = Layout(out).trial(need.trial);
  const ReadTrial read = read_whole_trial(files, path);
  check_owner(path, read.header.name);
  const TrialResult& result = read.result;
  const TrialSetup setup(result.spec);
  Needed needed{.method = need.method,
                .role = need.role,
                .trial = need.trial,
                .digest = read.header.content_digest,
                .tensors = {},
                .init_seed = init_seed(result),
                .build = setup.build(),
                .network = kind_of_network(setup)};
  for (WeightRecord& weight : load_weights(path)) {
    needed.tensors.push_back({std::move(weight.name), weight.shape, std::move(weight.values), std::move(weight.keep)});
  }
  if (const auto macs = result.summary.find("macs.sparse"); macs != result.summary.end()) needed.macs = macs->second;
  return needed;
}

}  // namespace winnow
