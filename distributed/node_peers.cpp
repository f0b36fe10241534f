#include "distributed/node_peers.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>

#include "core/clock.h"
#include "core/error.h"

namespace winnow {
ProcessState state_of_process(std::int64_t id) {
  errno = 0;
  std::ifstream file(fmt::format("/proc/{}/stat", id));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // That this process may open no more files says nothing of the other.
  if (text.empty() && errno != ENOENT && errno != ESRCH) return {.letter = '?'};
  const std::size_t name_ends = text.rfind(')');  // the name may have anything in it
  if (name_ends == std::string::npos) return {};
  std::istringstream rest(text.substr(name_ends + 1));
  ProcessState state;
  rest >> state.letter;
  std::string skipped;
  for (int field = 4; field < 22; ++field) rest >> skipped;
  rest >> state.started;
  return state;
}

namespace {

bool is_same(const ProcessState& state, const ProcessMark& mark) {
  return state.letter == '?' || (state.letter != 0 && state.started == mark.started);
}

}  // namespace

ProcessMark mark_of(std::int64_t id) { return {.id = id, .started = state_of_process(id).started}; }
ProcessMark own_mark() { return mark_of(::getpid()); }

NodePeers::NodePeers(const std::vector<Peer>& peers) {
  for (const Peer& peer : peers) {
    const bool seen = peer.process.started != 0 && is_same(state_of_process(peer.process.id), peer.process);
    if (seen && peer.process.id != ::getpid()) watched_.push_back({.peer = peer});
  }
}

NodePeers NodePeers::only(const std::vector<int>& ranks) const {
  NodePeers some = *this;
  std::erase_if(some.watched_,
                [&](const Watched& each) { return std::ranges::find(ranks, each.peer.rank) == ranks.end(); });
  return some;
}

std::optional<NodePeers::Lost> NodePeers::lost(double patience) {
  const double now = seconds_now();
  const double since_last = now - looked_;
  if (since_last < kLookEvery) return std::nullopt;
  looked_ = now;
  // A job that is suspended and goes on finds much time gone in which nobody could do anything.
  const auto lasts = [step = std::min(since_last, 2 * kLookEvery)](double& seconds, bool holds) {
    return seconds = holds ? seconds + step : 0;
  };
  for (Watched& each : watched_) {
    const ProcessState state = state_of_process(each.peer.process.id);
    const std::string who = fmt::format("rank {} (process {})", each.peer.rank, each.peer.process.id);
    const bool ended = !is_same(state, each.peer.process) || state.letter == 'Z' || state.letter == 'X';
    if (lasts(each.ended, ended) > kGrace) return Lost{.who = who + " has ended", .ended = true};
    const bool stands = state.letter == 'T' || state.letter == 't';
    if (lasts(each.stopped, stands) > patience) {
      return Lost{.who = fmt::format("{} has been stopped for {} s", who, patience), .ended = false};
    }
  }
  return std::nullopt;
}

}  // namespace winnow
