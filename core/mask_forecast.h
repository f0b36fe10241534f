// What a method will do to the masks of a network, told before anything is trained: what `winnow plan` counts by.
// Counts and not masks: which entries stay is known only when the method acts. Plain values.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/graph_editor.h"
#include "core/model.h"

namespace winnow {

struct MaskForecast {
  using Counts = std::vector<std::pair<ParamId, std::int64_t>>;  // entries of each of these tensors
  // The ones that masks have from here to the next change of the same tensor and kind.
  struct Change {
    int phase = 0;
    std::int64_t step = 0;  // updates applied when it happens, as in Moment
    MaskKind kind = MaskKind::Keep;
    Counts ones;
  };
  std::vector<Change> changes;  // in the order of training
  // Channels that are gone from here on (TrainState::remove_channels): as many of each layer as will be, by position in
  // ChannelGroups of the network as it is then. Which ones they are in truth does not matter to counts.
  struct Removal {
    int phase = 0;
    std::int64_t step = 0;
    std::vector<std::int64_t> groups;
  };
  std::vector<Removal> removals = {};
  // A tensor that Method::encode will give a form of its own, or the weight that is derived from it: bits of a kept entry,
  // and beside them.
  struct Code {
    ParamId id;
    std::int64_t bits_each = 0, bits_beside = 0;
  };
  std::vector<Code> codes = {};
  Counts rewritten;  // entries to which the method gives start values that no seed regenerates
  std::int64_t scoring_batches = 0, scoring_images = 0;  // of probes: training batches, other images
  double forwards_beside = 0;  // with every batch, of a network like the one without the method: a teacher's
  struct Recalibration {
    int phase = 0;
    std::int64_t batches = 0;
  };
  std::vector<Recalibration> recalibrations = {};  // TrainState::recalibrate, with the masks that the phase ends with
  bool dense_batches_are_extra = false;            // a batch with dense gradients changes masks in place of weights
  // Training drives weights to zero that no mask names, so that less is kept in the end than said here.
  bool upper_bound = false;
  // How much of each layer is removed is decided by training; the counts are those of an equal share of all.
  bool equal_shares = false;
};

}  // namespace winnow
