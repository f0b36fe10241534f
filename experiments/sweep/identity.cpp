#include "experiments/sweep/identity.h"

#include <array>

#include "core/error.h"
#include "experiments/data/digest.h"

namespace winnow {
namespace {

using Digest = std::array<unsigned char, 32>;

std::uint64_t named_seed(const Digest& root, std::string_view stream) {
  std::string text(root.begin(), root.end());
  text += stream;
  const Digest digest = sha256_of(text);
  std::uint64_t seed = 0;
  for (int i = 7; i >= 0; --i) seed = (seed << 8) | digest[static_cast<std::size_t>(i)];
  return seed;
}

}  // namespace

std::string trial_id(std::string_view canonical) {
  return sha256_hex(std::as_bytes(std::span(canonical.data(), canonical.size()))).substr(0, 20);
}

TrialSeeds seeds_of(const TrialSpec& spec) {
  const Digest root = sha256_of(fmt::format("{}\n{}\n", spec.id, spec.replicate));
  const Settings& s = spec.settings;
  const std::string pair = s.has("pair") ? s.text("pair") : "none";
  Digest order = root, start = root;
  if (pair != "none") order = sha256_of(fmt::format("pair\n{}\n{}\n", s.text("data.name"), spec.replicate));
  if (pair == "all") {
    start = sha256_of(fmt::format("pair\n{}\n{}\n{}\n", s.text("data.name"), s.text("model.name"), spec.replicate));
  }
  return {.init = named_seed(start, "init"),
          .data_order = named_seed(order, "data_order"),
          .augment = named_seed(order, "augment"),
          .method = named_seed(root, "method"),
          .dropout = named_seed(start, "dropout")};
}

}  // namespace winnow
