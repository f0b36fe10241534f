// Definitions of data sets that lie in image files, which differ only in these parts. Plain values.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/data/cifar.h"
#include "experiments/data/image_dataset.h"
#include "experiments/data/registry.h"

namespace winnow {

struct FileDataset {
  ImageTraits traits;
  DataShape shape;
  std::int64_t examples;  // of the training files
  // Digests of the files' contents in the order of reading, SHA-256 or SHA-1: what the published ones have.
  std::vector<std::string> published;
  std::string augment;              // default of the setting
  std::optional<std::string> root;  // default; nothing: must be given
  std::string meaning, source;
};

DatasetDef idx_dataset(const FileDataset& parts);
DatasetDef cifar_dataset(const FileDataset& parts, const CifarLayout& layout);

}  // namespace winnow
