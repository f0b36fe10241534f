// How ranks compare notes, so that what goes wrong on one of them is known to all and said once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <vector>

#include "core/error.h"
#include "distributed/communicator.h"

namespace winnow {

// Thrown on every rank alike: none of them waits for another any more.
class AgreedError final : public Error {
 public:
  AgreedError(ErrorKind kind, const std::string& text, std::exception_ptr own)
      : Error(kind, text), own_(std::move(own)) {}
  // What this rank threw itself; nothing where only others failed.
  const std::exception_ptr& own() const noexcept { return own_; }

 private:
  std::exception_ptr own_;
};

// Runs `work` on every rank. If it throws on any, every rank throws AgreedError: the reason of the lowest rank that
// failed, which names that rank unless it is 0. Collective; `work` itself must hold no collective call.
void agree(Communicator& comm, const std::function<void()>& work);

// `text` or `bytes` become those of rank `root`. Collective.
void share_text(Communicator& comm, std::string& text, int root);
void share_bytes(Communicator& comm, std::vector<std::byte>& bytes, int root);

// Do all ranks have the same value? Collective.
bool same_on_all(Communicator& comm, std::uint64_t value);

// What a person is told of an exception: "out of memory" for std::bad_alloc, what() for others.
std::string reason_of(const std::exception& error);
ErrorKind kind_of(const std::exception& error);

}  // namespace winnow
