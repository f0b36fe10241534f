#include "distributed/agree.h"

#include <new>
#include <span>

#include "distributed/host_name.h"
#include "distributed/ranks_lost.h"

namespace winnow {

std::string reason_of(const std::exception& error) {
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ? "out of memory" : error.what();
}

ErrorKind kind_of(const std::exception& error) {
  if (const auto* known = dynamic_cast<const Error*>(&error)) return known->kind();
  return dynamic_cast<const std::bad_alloc*>(&error) != nullptr ? ErrorKind::Unavailable : ErrorKind::Internal;
}

void agree(Communicator& comm, const std::function<void()>& work) {
  std::exception_ptr own;
  auto kind = static_cast<std::int32_t>(ErrorKind::Internal);
  std::string text;
  try {
    work();
  } catch (const RanksLost&) {  // there is nobody to agree with
    throw;
  } catch (const std::exception& error) {
    own = std::current_exception();
    kind = static_cast<std::int32_t>(kind_of(error));
    text = reason_of(error);
  }
  const auto size = static_cast<std::uint64_t>(comm.size());
  std::uint64_t first = own ? size - static_cast<std::uint64_t>(comm.rank()) : 0;  // the largest is the lowest rank
  comm.all_reduce_max(std::span(&first, 1));
  if (first == 0) return;
  const auto speaker = static_cast<int>(size - first);
  if (comm.rank() == speaker && speaker != 0) {
    text = fmt::format("rank {} of {} on {}: {}", speaker, size, host_name(), text);
  }
  comm.broadcast(std::as_writable_bytes(std::span(&kind, 1)), speaker);
  share_text(comm, text, speaker);
  throw AgreedError(ErrorKind{kind}, text, own);
}

namespace {

void share_all_of(Communicator& comm, auto& elements, int root) {
  std::uint64_t length = elements.size();
  comm.broadcast(std::as_writable_bytes(std::span(&length, 1)), root);
  elements.resize(length);
  comm.broadcast(std::as_writable_bytes(std::span(elements)), root);
}

}  // namespace

void share_text(Communicator& comm, std::string& text, int root) { share_all_of(comm, text, root); }
void share_bytes(Communicator& comm, std::vector<std::byte>& bytes, int root) { share_all_of(comm, bytes, root); }

bool same_on_all(Communicator& comm, std::uint64_t value) {
  std::uint64_t bounds[2] = {value, ~value};
  comm.all_reduce_max(bounds);
  return bounds[0] == value && ~bounds[1] == value;
}

}  // namespace winnow
