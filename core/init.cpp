#include "core/init.h"

#include <array>
#include <cmath>
#include <utility>

#include "core/error.h"
#include "kernels/for_each.h"
#include "kernels/functors/initial_values.h"

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

void generate(const InitSpec& spec, const RngKey& key, std::span<float> out, const Exec& exec) {
  const auto draw = [&]<Draw kind>() {
    for_each(exec, static_cast<std::int64_t>(out.size()), InitialValues<kind>{key, scale_of(spec), out.data()});
  };
  switch (spec.kind) {
    case InitKind::Constant:
      return draw.template operator()<Draw::Constant>();
    case InitKind::Normal:
    case InitKind::KaimingNormal:
    case InitKind::XavierNormal:
      return draw.template operator()<Draw::Normal>();
    case InitKind::Uniform:
    case InitKind::KaimingUniform:
    case InitKind::TorchDefault:
      return draw.template operator()<Draw::Uniform>();
    case InitKind::SignedKaiming:
    case InitKind::SignedXavier:
      return draw.template operator()<Draw::Sign>();
  }
}

}  // namespace winnow
