#include "experiments/models/residual.h"

#include "experiments/models/families.h"

namespace winnow {
namespace {

ValueId shortcut(ModelBuilder& net, ValueId x, std::int64_t channels, const BlockSpec& spec) {
  if (spec.stride == 1 && net.shape(x)[3] == channels) return x;
  const std::string name = spec.name + ".shortcut";
  if (spec.shortcut == Shortcut::A) {
    return net.model().graph.emit1("shortcut_pad", {x}, {{"stride", spec.stride}, {"channels", channels}}, name);
  }
  const ValueId projected = net.conv2d(x, name + ".conv", channels, 1, spec.stride);
  return net.batch_norm(projected, name + ".bn", true, spec.norm_scale);
}

// Adds the branch `x` (before its last relu) to the shortcut of `in`.
ValueId finish(ModelBuilder& net, const char* kind, const std::string& relu, ValueId in, ValueId x,
               const BlockSpec& spec) {
  const ValueId skip = shortcut(net, in, net.shape(x)[3], spec);
  const ValueId out = net.relu(net.add(x, skip, spec.name + ".add"), spec.name + relu);
  net.region(kind, spec.name, spec.stage, spec.block, in, out);
  return out;
}

}  // namespace

ValueId basic_block(ModelBuilder& net, ValueId in, const BlockSpec& spec) {
  const std::string prefix = spec.name + ".";
  ValueId x = net.conv2d(in, prefix + "conv1", spec.width, 3, spec.stride, 1);
  x = norm_relu(net, x, prefix, "1", spec.norm_scale);
  x = net.conv2d(x, prefix + "conv2", spec.width, 3, 1, 1);
  x = net.batch_norm(x, prefix + "bn2", true, spec.norm_scale);
  return finish(net, "basic_block", ".relu2", in, x, spec);
}

ValueId bottleneck(ModelBuilder& net, ValueId in, const BlockSpec& spec) {
  const std::string prefix = spec.name + ".";
  ValueId x = norm_relu(net, net.conv2d(in, prefix + "conv1", spec.width, 1), prefix, "1", spec.norm_scale);
  x = net.conv2d(x, prefix + "conv2", spec.width, 3, spec.stride, 1);
  x = norm_relu(net, x, prefix, "2", spec.norm_scale);
  x = net.conv2d(x, prefix + "conv3", 4 * spec.width, 1);
  x = net.batch_norm(x, prefix + "bn3", true, spec.norm_scale);
  return finish(net, "bottleneck", ".relu3", in, x, spec);
}

}  // namespace winnow
