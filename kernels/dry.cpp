#include "kernels/dry.h"

#include <cstring>
#include <stdexcept>
#include <utility>

namespace winnow::dry {
namespace {

Log& log_of(const Exec& exec) { return *static_cast<Log*>(exec.stream); }

}  // namespace

// Blocks are apart, so that an address belongs to one of them.
std::byte* Stream::allocate(std::size_t bytes) {
  constexpr std::uintptr_t kAlign = 4096;
  const std::uintptr_t at = next_;
  next_ += (bytes + 2 * kAlign - 1) / kAlign * kAlign;
  return reinterpret_cast<std::byte*>(at);  // NOLINT(performance-no-int-to-ptr): an address that nobody follows
}

void Stream::download(void* to, const void*, std::size_t bytes) {
  if (bytes > 0) std::memset(to, 0, bytes);
}

std::shared_ptr<DeviceStream> Stream::beside() { throw std::logic_error("a dry device has one queue"); }
void Stream::after(DeviceStream&) { throw std::logic_error("a dry device has one queue"); }
std::unique_ptr<Recording> Stream::record(const std::function<void()>&) {
  throw std::logic_error("a dry device records nothing");
}

void note_kernel(const Exec& exec, std::initializer_list<Argument> arguments, std::size_t scratch_read,
                 std::size_t scratch_written, const void* overwritten) {
  Launch launch{.words = {},
                .overwritten = reinterpret_cast<std::uintptr_t>(overwritten),
                .scratch_read = scratch_read,
                .scratch_written = scratch_written};
  for (const auto& [bytes, most] : arguments) {
    for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= bytes.size(); at += sizeof(std::uintptr_t)) {
      std::uintptr_t word = 0;
      std::memcpy(&word, bytes.data() + at, sizeof word);
      launch.words.push_back({word, most});
    }
  }
  log_of(exec).add(std::move(launch));
}

void note_call(const Exec& exec, std::initializer_list<const void*> operands, std::size_t scratch_read,
               std::size_t scratch_written) {
  Launch launch{.words = {}, .is_call = true, .scratch_read = scratch_read, .scratch_written = scratch_written};
  for (const void* operand : operands) launch.words.push_back({reinterpret_cast<std::uintptr_t>(operand), kAll});
  log_of(exec).add(std::move(launch));
}

}  // namespace winnow::dry
