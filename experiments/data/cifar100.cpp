#include "experiments/data/file_dataset.h"
#include "experiments/data/registry.h"

namespace winnow {

// Fine labels: the second label byte of a record; the first is one of 20 coarse classes.
DatasetDef cifar100() {
  const ImageTraits traits = {.name = "cifar100",
                              .statistics = {{0.5071, 0.2673}, {0.4865, 0.2564}, {0.4409, 0.2762}},
                              .standard = {.pad = 4, .mirror = true}};
  const FileDataset parts = {.traits = traits,
                             .shape = {32, 32, 3, 100},
                             .examples = 50000,
                             .published = {"e207cd2e05b73b1393c74c7f5e7bea451d63e08e",  // SHA-1, as MXNet's loader has
                                           "8fb6623e830365ff53cf14adec797474f5478006"},
                             .augment = "standard",
                             .root = std::nullopt,
                             .meaning = "photographs, 32x32 colour, 100 classes, 50000 + 10000 examples",
                             .source = "Krizhevsky 2009, binary version"};
  const CifarLayout layout = {.folder = "cifar-100-binary",
                              .train = {{"train.bin", 50000}},
                              .test = {"test.bin", 10000},
                              .coarse_classes = 20,
                              .classes = 100};
  return cifar_dataset(parts, layout);
}

}  // namespace winnow
