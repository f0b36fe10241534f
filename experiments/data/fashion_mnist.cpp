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
                      .published = {"c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                                    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                                    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                                    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"},
                      .augment = "none",
                      .root = "/usr/share/datasets/fashion-mnist",  // Debian: dataset-fashion-mnist
                      .meaning = "clothes, 28x28 grey, 10 classes, 60000 + 10000 examples",
                      .source = "Xiao, Rasul, Vollgraf 2017"});
}

}  // namespace winnow
