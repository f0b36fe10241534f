// Residual blocks shared by the ResNet families. Stateless.
#pragma once

#include <string>

#include "core/model.h"

namespace winnow {

// "identity" where shapes agree; else A: stride-2 subsampling and zero channels on both sides,
// without parameters; or Projection: 1x1 convolution and batch norm.
enum class Shortcut : std::uint8_t { A, Projection };

struct BlockSpec {
  std::string name;  // "stage1.block0"
  int stage = 0, block = 0;
  std::int64_t width = 0;  // channels of the 3x3 convolutions
  std::int64_t stride = 1;
  Shortcut shortcut = Shortcut::Projection;
  double norm_scale = 1;
};

// conv3x3 - bn - relu - conv3x3 - bn, added to the shortcut, relu. Names the region "basic_block".
ValueId basic_block(ModelBuilder& net, ValueId x, const BlockSpec& spec);
// conv1x1 - conv3x3 (with the stride) - conv1x1 of 4 times the width. Names the region "bottleneck".
ValueId bottleneck(ModelBuilder& net, ValueId x, const BlockSpec& spec);

}  // namespace winnow
