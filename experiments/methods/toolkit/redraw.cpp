#include "experiments/methods/toolkit/redraw.h"

#include "core/error.h"

namespace winnow {

void refuse_redraw(const Model& model, const std::string& key) {
  for (const ParamSpec& spec : model.params) {
    if (!spec.derived || spec.retired) continue;
    fail(
        ErrorKind::Settings,
        "{}: draws initial weights anew, but the method that replaces '{}' has computed its start from the first ones; "
        "leave out one of them",
        key, spec.name);
  }
}

std::uint64_t redraw_seed(const TrainState& state) {
  const RngBlock block = philox(state.rng("reinit"), 0);
  return (std::uint64_t{block.word[1]} << 32) | block.word[0];
}

void redraw_all(TrainState& state) {
  ParamStore& params = state.params();
  for (std::size_t i = 0; i < params.size(); ++i) {
    const ParamSpec& spec = params.specs()[i];
    if (spec.trainable && !spec.retired) params.redraw(ParamId(i), redraw_seed(state));
  }
}

}  // namespace winnow
