// Layers that a quantiser leaves alone: the setting `keep`, and the prunable tensors that are not named there. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/model.h"
#include "core/settings.h"

namespace winnow {

Setting exempt_setting();
// Error{Settings} for a name that no tensor has.
std::vector<ParamId> without_exempt(std::span<const ParamSpec> params, const std::vector<std::string>& keep);

}  // namespace winnow
