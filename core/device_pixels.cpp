#include "core/device_pixels.h"

#include <algorithm>
#include <mutex>
#include <vector>

namespace winnow {
namespace {

struct KnownPixels {
  const std::uint8_t* bytes;
  int device;
  std::weak_ptr<const DevicePixels> copy;
};

}  // namespace

std::shared_ptr<const DevicePixels> pixels_on(const std::shared_ptr<DeviceStream>& stream, const Pixels& pixels) {
  static std::mutex mutex;
  static std::vector<KnownPixels> known;
  const std::lock_guard lock(mutex);
  std::erase_if(known, [](const KnownPixels& one) { return one.copy.expired(); });
  for (const KnownPixels& one : known) {
    if (one.bytes != pixels.bytes.data() || one.device != stream->ordinal()) continue;
    if (auto copy = one.copy.lock()) return copy;
  }
  if (pixels.bytes.size() > stream->free_bytes() / 4) return nullptr;
  // On a queue of its own: whoever lets go of it last, the queue of the first one may be in use, or be recorded.
  const std::shared_ptr<DeviceStream> own = stream->beside();
  auto copy = std::make_shared<DevicePixels>(DevicePixels{pixels.owner, Memory(own, pixels.bytes.size())});
  own->upload(copy->memory.get(), pixels.bytes.data(), pixels.bytes.size());
  own->wait();  // other streams will read it
  known.push_back({pixels.bytes.data(), stream->ordinal(), copy});
  return copy;
}

}  // namespace winnow
