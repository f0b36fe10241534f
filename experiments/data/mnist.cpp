#include "experiments/data/file_dataset.h"
#include "experiments/data/registry.h"

namespace winnow {

DatasetDef mnist() {
  const ImageTraits traits = {
      .name = "mnist", .statistics = {{0.1307, 0.3081}}, .standard = {.pad = 2, .mirror = false}};
  return idx_dataset({.traits = traits,
                      .shape = {28, 28, 1, 10},
                      .examples = 60000,
                      .augment = "none",
                      .root = std::nullopt,
                      .meaning = "handwritten digits, 28x28 grey, 10 classes, 60000 + 10000 examples",
                      .source = "LeCun et al. 1998"});
}

}  // namespace winnow
