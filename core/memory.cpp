#include "core/memory.h"

#include <cstdlib>
#include <utility>

#include "core/tensor.h"

namespace winnow {

Memory::Memory(std::shared_ptr<DeviceStream> stream, std::size_t bytes) : bytes_(bytes) {
  if (!stream) {
    block_ = {allocate_host(bytes).release(), Release{}};
    return;
  }
  std::byte* block = stream->allocate(bytes);
  block_ = {block, Release{std::move(stream)}};
  block_.get_deleter().stream->zero(block, bytes);
}

void Memory::Release::operator()(std::byte* block) const noexcept {
  stream ? stream->release(block) : std::free(block);
}

}  // namespace winnow
