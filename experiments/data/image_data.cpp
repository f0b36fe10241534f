#include "experiments/data/image_data.h"

#include <fmt/format.h>

#include <map>
#include <mutex>

namespace winnow {
namespace {

struct Cache {
  std::mutex mutex;
  std::map<std::string, std::weak_ptr<const ImageData>> entries;
  std::shared_ptr<const ImageData> last;
};

Cache& cache() {
  static Cache instance;
  return instance;
}

}  // namespace

std::string remark_on(const std::string& name, const ImageData& data,
                      const std::vector<std::filesystem::path>& changed) {
  if (changed.empty()) return "";
  return fmt::format("{}: {}{} not as published; there are {} + {} examples", name, changed.front().string(),
                     changed.size() == 1 ? " is" : fmt::format(" and {} more files are", changed.size() - 1),
                     data.train.examples(), data.test.examples());
}

std::shared_ptr<const ImageData> shared_image_data(const std::string& key, const std::function<ImageData()>& load) {
  Cache& shared = cache();
  const std::scoped_lock lock(shared.mutex);
  std::shared_ptr<const ImageData> data = shared.entries[key].lock();
  if (!data) {
    shared.last.reset();  // before loading, so that two large data sets need not fit side by side
    data = std::make_shared<const ImageData>(load());
    shared.entries[key] = data;
  }
  shared.last = data;
  return data;
}

}  // namespace winnow
