// Initial values drawn anew, as the controls of methods ask for. Stateless.
#pragma once

#include <cstdint>
#include <string>

#include "core/method.h"

namespace winnow {

// For edit(): Error{Settings} naming `key` where a weight is derived. Its method computes the start from the values that
// were drawn first, so new ones would be the start of another network.
void refuse_redraw(const Model& model, const std::string& key);

// A seed for the new values, of the trial's method stream at this step.
std::uint64_t redraw_seed(const TrainState& state);

// Draws every trained parameter anew from that seed.
void redraw_all(TrainState& state);

}  // namespace winnow
