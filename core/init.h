// Initial values of parameters: a pure function of (InitSpec, RngKey), so that an untouched tensor
// can be stored as its key and regenerated bit for bit. Reentrant.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/shape.h"
#include "kernels/exec.h"
#include "kernels/rng.h"

namespace winnow {

// Gaussian kinds draw Box-Muller in double and round to float; element i of the tensor uses counter i.
struct InitSpec {
  enum class Kind : std::uint8_t {
    Constant,        // value
    Normal,          // N(0, value^2)
    Uniform,         // U(-value, value)
    KaimingNormal,   // N(0, 2 / fan_in)
    KaimingUniform,  // U(-b, b), b = sqrt(6 / fan_in)
    TorchDefault,    // U(-b, b), b = 1 / sqrt(fan_in): PyTorch's Linear and Conv2d, weights and
                     // biases
    XavierNormal,    // N(0, 2 / (fan_in + fan_out))
    SignedKaiming,   // +-sqrt(2 / fan_in), sign from one bit
    SignedXavier,    // +-sqrt(2 / (fan_in + fan_out))
  };
  Kind kind = Kind::Constant;
  double value = 0;  // Constant, Normal (sigma), Uniform (bound); a factor (1 if 0) on all other kinds
  std::int64_t fan_in = 0, fan_out = 0;
  bool operator==(const InitSpec&) const = default;
};

const char* name_of(InitSpec::Kind);
InitSpec::Kind init_kind(const std::string& name);  // throws Error{Settings} with the allowed names

// fan_in = I*KH*KW, fan_out = O*KH*KW for {O, I, KH, KW}; {out, in} accordingly.
void set_fans(InitSpec&, const Shape& weight);

struct SeededInit {
  InitSpec spec;
  RngKey key;
};

// `out` is memory of where `exec` is; a device has the bits of the CPU.
void generate(const InitSpec&, const RngKey&, std::span<float> out, const Exec& exec = {});

}  // namespace winnow
