#include "experiments/results/rung_claims.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "experiments/results/layout.h"

namespace winnow {
namespace {

constexpr std::string_view kClaimEnding = ".up";

}  // namespace

std::filesystem::path claims_folder(const std::filesystem::path& folder) { return folder / "past"; }

std::filesystem::path claim_path(const std::filesystem::path& folder, const RungClaim& claim) {
  return claims_folder(folder) / fmt::format("{}.{}{}", claim.trial, claim.rung, kClaimEnding);
}

std::vector<RungClaim> claims_in(Files& files, const std::filesystem::path& folder) {
  std::vector<RungClaim> claims;
  for (const std::string& file : files.list(claims_folder(folder))) {
    if (!file.ends_with(kClaimEnding)) continue;
    const std::string name = file.substr(0, file.size() - kClaimEnding.size());
    const std::size_t dot = name.rfind('.');
    if (dot == std::string::npos) continue;
    std::int64_t rung = 0;
    const auto [end, problem] = std::from_chars(name.data() + dot + 1, name.data() + name.size(), rung);
    if (problem == std::errc() && end == name.data() + name.size()) claims.push_back({name.substr(0, dot), rung});
  }
  return claims;
}

std::set<std::string> let_past_since(Files& files, const std::filesystem::path& out,
                                     std::span<const std::string> stopped) {
  const Layout layout(out);
  std::set<std::string> found;
  for (const std::string& rule : files.list(layout.rungs())) {
    const auto folder = layout.rungs() / rule;
    for (const RungClaim& claim : claims_in(files, folder)) {
      if (!std::ranges::binary_search(stopped, claim.trial) || found.contains(claim.trial)) continue;
      const auto past = files.stamp(claim_path(folder, claim)), here = files.stamp(layout.stopped(claim.trial));
      // Where the clock is too coarse to tell, the claim is the later one: between a claim and the next stop lies a training.
      if (past && here && past->modified >= here->modified) found.insert(claim.trial);
    }
  }
  return found;
}

}  // namespace winnow
