#include "experiments/methods/toolkit/exempt_layers.h"

#include "experiments/methods/toolkit/density.h"

namespace winnow {

Setting exempt_setting() {
  return {.key = "keep",
          .kind = Setting::Kind::TextList,
          .fallback = "[first, last]",
          .meaning = "layers that stay as they are: first, last, or names such as conv1",
          .source = "usual for quantisers",
          .is_set = true};
}

std::vector<ParamId> without_exempt(std::span<const ParamSpec> params, const std::vector<std::string>& keep) {
  const std::vector<PrunedTensor> tensors = pruned_tensors(params);
  std::vector<bool> exempt(tensors.size(), false);
  for (const std::string& name : keep) exempt[position_of(name, tensors, "keep")] = true;
  std::vector<ParamId> ids;
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    if (!exempt[t]) ids.push_back(tensors[t].id);
  }
  return ids;
}

}  // namespace winnow
