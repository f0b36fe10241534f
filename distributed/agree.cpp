#include "distributed/agree.h"

#include <unistd.h>

#include <array>
#include <new>
#include <span>

namespace winnow {
namespace {

// One rank's reason, as the others receive it.
struct Reason {
  std::int32_t kind = static_cast<std::int32_t>(ErrorKind::Internal);
  std::array<char, 256> host{};
  std::uint32_t length = 0;
};

}  // namespace

std::string reason_of(const std::exception& error) {
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ? "out of memory" : error.what();
}

ErrorKind kind_of(const std::exception& error) {
  if (const auto* known = dynamic_cast<const Error*>(&error)) return known->kind();
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ? ErrorKind::Unavailable : ErrorKind::Internal;
}

void agree(Communicator& comm, const std::function<void()>& work) {
  std::exception_ptr own;
  Reason reason;
  std::string text;
  try {
    work();
  } catch (const std::exception& error) {
    own = std::current_exception();
    reason.kind = static_cast<std::int32_t>(kind_of(error));
    text = reason_of(error);
  }
  const auto size = static_cast<std::uint64_t>(comm.size());
  std::uint64_t first = own ? size - static_cast<std::uint64_t>(comm.rank()) : 0;  // the largest is the lowest rank
  comm.all_reduce_max(std::span(&first, 1));
  if (first == 0) return;
  const auto speaker = static_cast<int>(size - first);
  ::gethostname(reason.host.data(), reason.host.size() - 1);
  reason.length = static_cast<std::uint32_t>(text.size());
  comm.broadcast(std::as_writable_bytes(std::span(&reason, 1)), speaker);
  text.resize(reason.length);
  comm.broadcast(std::as_writable_bytes(std::span(text.data(), text.size())), speaker);
  if (speaker != 0) text = fmt::format("rank {} of {} on {}: {}", speaker, size, reason.host.data(), text);
  throw AgreedError(ErrorKind{reason.kind}, text, own);
}

bool same_on_all(Communicator& comm, std::uint64_t value) {
  std::uint64_t bounds[2] = {value, ~value};
  comm.all_reduce_max(bounds);
  return bounds[0] == value && ~bounds[1] == value;
}

}  // namespace winnow
