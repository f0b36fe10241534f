#include "experiments/data/file_dataset.h"
#include "experiments/data/registry.h"

namespace winnow {

DatasetDef mnist() {
  const ImageTraits traits = {
      .name = "mnist", .statistics = {{0.1307, 0.3081}}, .standard = {.pad = 2, .mirror = false}};
  return idx_dataset({.traits = traits,
                      .shape = {28, 28, 1, 10},
                      .examples = 60000,
                      .published = {"ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
                      .augment = "none",
                      .root = std::nullopt,
                      .meaning = "handwritten digits, 28x28 grey, 10 classes, 60000 + 10000 examples",
                      .source = "LeCun et al. 1998"});
}

}  // namespace winnow
