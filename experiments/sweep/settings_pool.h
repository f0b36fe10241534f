// Makes settings share what they have in common: of those with equal keys, all but the first store only
// their differences from it. Not shared between threads; the settings it returns may be.
#pragma once

#include <vector>

#include "core/settings.h"

namespace winnow {

class SettingsPool {
 public:
  Settings pooled(const Settings& settings) {
    for (const Settings& base : bases_) {
      if (auto shared = settings.sharing(base)) return std::move(*shared);
    }
    // Few combinations of components and settings make up a sweep; a stranger's has a limit.
    constexpr std::size_t kMostBases = 256;
    if (bases_.size() < kMostBases) bases_.push_back(settings);
    return settings;
  }

 private:
  std::vector<Settings> bases_;
};

}  // namespace winnow
