#include "experiments/data/file_dataset.h"
#include "experiments/data/registry.h"

namespace winnow {

DatasetDef cifar10() {
  constexpr std::int64_t kRecords = 10000;
  const ImageTraits traits = {.name = "cifar10",
                              .statistics = {{0.4914, 0.2470}, {0.4822, 0.2435}, {0.4465, 0.2616}},
                              .standard = {.pad = 4, .mirror = true}};
  const FileDataset parts = {
      .traits = traits,
      .shape = {32, 32, 3, 10},
      .examples = 50000,
      .published = {"aadd24acce27caa71bf4b10992e9e7b2d74c2540",  // SHA-1, as MXNet's loader has
                    "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795", "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
                    "aab85764eb3584312d3c7f65fd2fd016e36a258e", "26e2849e66a845b7f1e4614ae70f4889ae604628",
                    "67eb016db431130d61cd03c7ad570b013799c88c"},
      .augment = "standard",
      .root = std::nullopt,
      .meaning = "photographs, 32x32 colour, 10 classes, 50000 + 10000 examples",
      .source = "Krizhevsky 2009, binary version"};
  const CifarLayout layout = {.folder = "cifar-10-batches-bin",
                              .train = {{"data_batch_1.bin", kRecords},
                                        {"data_batch_2.bin", kRecords},
                                        {"data_batch_3.bin", kRecords},
                                        {"data_batch_4.bin", kRecords},
                                        {"data_batch_5.bin", kRecords}},
                              .test = {"test_batch.bin", kRecords},
                              .coarse_classes = 0,
                              .classes = 10};
  return cifar_dataset(parts, layout);
}

}  // namespace winnow
