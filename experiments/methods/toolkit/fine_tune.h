// Training that goes on after a method has worked on the trained network: its settings, with a learning rate of its own,
// and the phase that they mean. Pure.
#pragma once

#include <optional>
#include <string>

#include "core/method.h"

namespace winnow {

// `fine_tune.epochs`, `fine_tune.lr`, `fine_tune.schedule.*`, with the meaning of the same keys below train.
Schema fine_tune_schema(const std::string& epochs, const std::string& lr, const std::string& source);

// From update `first_step` on, with new optimiser state and the batches that come next; nothing if fine_tune.epochs is 0.
// Error{Settings} for a multistep schedule without places or with the same one twice.
std::optional<Phase> fine_tune_phase(const Settings& method, std::int64_t first_step, const RunLength& length);

// Fine-tuning over the last `steps` of the run again, as its schedule has them; the whole run if it is shorter.
Phase fine_tune_tail(const Length& steps, const RunLength& length);

}  // namespace winnow
