// The data sets of this build. Adding one: a file with its definition, and its line in
// datasets.def. Built once, immutable, shared freely.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "core/batch.h"
#include "experiments/component.h"

namespace winnow {

// All functions take settings resolved against the schema (keys without "data."); others are ignored.
struct DatasetDef : Component {
  std::function<std::unique_ptr<Dataset>(const Settings&)> open;  // Error{Input}, Error{Settings}
  std::function<DataShape(const Settings&)> shape;                // opens no file
  // Examples of the training split, for prices in a plan; opens no file.
  std::function<std::int64_t(const Settings&)> train_examples;
  // Where the settings say that the files lie, in the order of reading; opens none. Empty for data without files.
  std::function<std::vector<std::filesystem::path>(const Settings&)> files = {};
  // Reads the files as `open` does (Error{Input}): one line if they are not what is known under this name, else
  // empty. Empty for data without files.
  std::function<std::string(const Settings&)> remark = {};
};

const std::vector<DatasetDef>& datasets();
const DatasetDef& find_dataset(std::string_view name);  // Error{Settings} naming the nearest

}  // namespace winnow
