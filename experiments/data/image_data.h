// A data set of small images in memory, as bytes: read once for a process and shared read-only by
// every trial on it, since many trials of a sweep use the same data set at once.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/batch.h"

namespace winnow {

struct ImageSplit {
  std::vector<std::uint8_t> pixels;  // {examples, H, W, C}
  std::vector<std::int32_t> labels;
  std::int64_t examples() const { return static_cast<std::int64_t>(labels.size()); }
};

struct ImageData {
  DataShape shape;
  ImageSplit train, test;
  std::string digest;       // SHA-256 over the files' contents, unpacked, in the order they are listed
  std::string remark = {};  // one line if these are not the published files of that name
};

// How `data`, read from files of which `changed` are not the published ones, differs from what `name` stands
// for; empty if it does not.
std::string remark_on(const std::string& name, const ImageData& data,
                      const std::vector<std::filesystem::path>& changed);

// The data set known under `key`, loaded if no trial of this process holds it. The one used last is
// kept alive between trials. May be called from any thread; loading happens under a lock.
std::shared_ptr<const ImageData> shared_image_data(const std::string& key, const std::function<ImageData()>& load);

}  // namespace winnow
