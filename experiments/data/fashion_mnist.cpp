#include "experiments/data/file_dataset.h"
#include "experiments/data/registry.h"

namespace winnow {

// Mean and deviation are those of the 60000 training images; a test recomputes them. Clothes keep
// their class in a mirror, digits do not.
DatasetDef fashion_mnist() {
  const ImageTraits traits = {
      .name = "fashion-mnist", .statistics = {{0.2860, 0.3530}}, .standard = {.pad = 2, .mirror = true}};
  return idx_dataset({.traits = traits,
                      .shape = {28, 28, 1, 10},
                      .examples = 60000,
                      .augment = "none",
                      .root = "/usr/share/datasets/fashion-mnist",  // Debian: dataset-fashion-mnist
                      .meaning = "clothes, 28x28 grey, 10 classes, 60000 + 10000 examples",
                      .source = "Xiao, Rasul, Vollgraf 2017"});
}

}  // namespace winnow
