#include "core/init.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "core/error.h"

namespace winnow {
namespace {

using InitKind = InitSpec::Kind;

constexpr std::array<std::pair<InitKind, const char*>, 9> kKinds = {{
    {InitKind::Constant, "constant"},
    {InitKind::Normal, "normal"},
    {InitKind::Uniform, "uniform"},
    {InitKind::KaimingNormal, "kaiming_normal"},
    {InitKind::KaimingUniform, "kaiming_uniform"},
    {InitKind::TorchDefault, "torch_default"},
    {InitKind::XavierNormal, "xavier_normal"},
    {InitKind::SignedKaiming, "signed_kaiming"},
    {InitKind::SignedXavier, "signed_xavier"},
}};

double factor_of(const InitSpec& spec) { return spec.value == 0 ? 1.0 : spec.value; }

// A missing fan would give infinite weights, which training would only notice as a divergence.
double fan(const InitSpec& spec, std::int64_t count) {
  if (count <= 0) {
    fail(ErrorKind::Internal, "initialisation '{}' needs the fans of its tensor", name_of(spec.kind));
  }
  return static_cast<double>(count);
}

// Standard deviation, bound or magnitude of the values, in double so that it is rounded once.
double scale_of(const InitSpec& spec) {
  switch (spec.kind) {
    case InitKind::Constant:
    case InitKind::Normal:
    case InitKind::Uniform:
      return spec.value;
    case InitKind::KaimingNormal:
    case InitKind::SignedKaiming:
      return factor_of(spec) * std::sqrt(2.0 / fan(spec, spec.fan_in));
    case InitKind::KaimingUniform:
      return factor_of(spec) * std::sqrt(6.0 / fan(spec, spec.fan_in));
    case InitKind::TorchDefault:
      return factor_of(spec) / std::sqrt(fan(spec, spec.fan_in));
    case InitKind::XavierNormal:
    case InitKind::SignedXavier:
      return factor_of(spec) * std::sqrt(2.0 / fan(spec, spec.fan_in + spec.fan_out));
  }
  fail(ErrorKind::Internal, "unknown initialisation");
}

}  // namespace

const char* name_of(InitSpec::Kind kind) {
  for (const auto& [entry, name] : kKinds) {
    if (entry == kind) return name;
  }
  return "unknown";
}

InitSpec::Kind init_kind(const std::string& name) {
  std::string allowed;
  for (const auto& [entry, text] : kKinds) {
    if (name == text) return entry;
    allowed += allowed.empty() ? text : std::string(", ") + text;
  }
  fail(ErrorKind::Settings, "unknown initialisation '{}'; allowed: {}", name, allowed);
}

void set_fans(InitSpec& spec, const Shape& weight) {
  if (weight.rank() < 2) {
    fail(ErrorKind::Internal, "fans need a weight of at least two axes, not {}", weight.text());
  }
  std::int64_t window = 1;
  for (int axis = 2; axis < weight.rank(); ++axis) window *= weight[axis];
  spec.fan_in = weight[1] * window;
  spec.fan_out = weight[0] * window;
}

void generate(const InitSpec& spec, const RngKey& key, std::span<float> out) {
  const double scale = scale_of(spec);
  const auto each = [&](auto&& value_at) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = value_at(static_cast<std::uint64_t>(i));
  };
  // Products are formed in double from a float draw: one rounding, the same in every language with IEEE 754.
  const auto scaled = [scale](float draw) { return static_cast<float>(scale * static_cast<double>(draw)); };
  switch (spec.kind) {
    case InitKind::Constant:
      std::fill(out.begin(), out.end(), static_cast<float>(scale));
      return;
    case InitKind::Normal:
    case InitKind::KaimingNormal:
    case InitKind::XavierNormal:
      each([&](std::uint64_t i) { return scaled(normal_at(key, i)); });
      return;
    case InitKind::Uniform:
    case InitKind::KaimingUniform:
    case InitKind::TorchDefault:
      each([&](std::uint64_t i) { return scaled(2.0f * uniform_at(key, i) - 1.0f); });
      return;
    case InitKind::SignedKaiming:
    case InitKind::SignedXavier: {
      const auto magnitude = static_cast<float>(scale);
      each([&](std::uint64_t i) {
        const std::uint32_t word = philox(key, i / 4).word[i % 4];
        return (word >> 31) != 0 ? -magnitude : magnitude;
      });
      return;
    }
  }
}

}  // namespace winnow
