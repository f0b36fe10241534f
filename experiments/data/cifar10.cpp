#include "experiments/data/file_dataset.h"
#include "experiments/data/registry.h"

namespace winnow {

DatasetDef cifar10() {
  constexpr std::int64_t kRecords = 10000;
  const ImageTraits traits = {.name = "cifar10",
                              .statistics = {{0.4914, 0.2470}, {0.4822, 0.2435}, {0.4465, 0.2616}},
                              .standard = {.pad = 4, .mirror = true}};
  const FileDataset parts = {.traits = traits,
                             .shape = {32, 32, 3, 10},
                             .examples = 50000,
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
                              .label_bytes = 1,
                              .classes = 10};
  return cifar_dataset(parts, layout);
}

}  // namespace winnow
