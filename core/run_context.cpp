#include "core/run_context.h"

#include <cstddef>
#include <cstring>
#include <utility>

#include "core/memory.h"

namespace winnow {

struct RunContext::Shared {
  Shared(std::shared_ptr<DeviceStream> on, int count) : stream(std::move(on)), threads(count) {
    if (!stream) return;
    memory = Memory(stream, sizeof(RunState));
    stream->upload(memory.get(), &host, sizeof host);
  }
  RunState* state() { return stream ? reinterpret_cast<RunState*>(memory.get()) : &host; }

  std::shared_ptr<DeviceStream> stream;
  int threads;
  RunState host;  // on a device only what was fed
  Memory memory;
};

RunContext::RunContext(int threads) : RunContext(nullptr, threads) {}
RunContext::RunContext(std::shared_ptr<DeviceStream> stream, int threads)
    : shared_(std::make_shared<Shared>(std::move(stream), threads)) {}
RunContext RunContext::beside() const { return {shared_->stream, shared_->threads}; }

Device RunContext::device() const { return shared_->stream ? shared_->stream->device() : Device::Cpu; }
int RunContext::threads() const { return shared_->threads; }
const std::shared_ptr<DeviceStream>& RunContext::stream() const { return shared_->stream; }
RunState* RunContext::state() const { return shared_->state(); }
const RunFeed& RunContext::feed() const { return shared_->host.feed; }

void RunContext::write(void* to, const void* from, std::size_t bytes) const {
  if (shared_->stream) {
    shared_->stream->upload(to, from, bytes);
  } else if (bytes > 0) {
    std::memcpy(to, from, bytes);
  }
}

void RunContext::read(void* to, const void* from, std::size_t bytes) const {
  if (shared_->stream) {
    shared_->stream->download(to, from, bytes);
  } else if (bytes > 0) {
    std::memcpy(to, from, bytes);
  }
}

void RunContext::start(const RunFeed& feed) {
  shared_->host.feed = feed;
  RunState* state = shared_->state();
  if (!shared_->stream) {
    state->status.stopped = state->status.not_finite;
    return;
  }
  // Addresses of the device, which are not looked at here.
  shared_->stream->upload(&state->feed, &feed, sizeof feed);
  shared_->stream->copy(&state->status.stopped, &state->status.not_finite, sizeof state->status.stopped);
}

RunStatus RunContext::status() const {
  RunStatus found;
  read(&found, &shared_->state()->status, sizeof found);
  return found;
}

void RunContext::set_status(const RunStatus& status) { write(&shared_->state()->status, &status, sizeof status); }

}  // namespace winnow
