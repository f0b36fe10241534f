// The processes of a job on one machine, as the others see them: here, gone, or standing still.
#include "distributed/node_peers.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "core/clock.h"

namespace winnow::test {
namespace {

// A process that sleeps.
class Sleeper {
 public:
  Sleeper() : id_(::fork()) {
    if (id_ != 0) return;
    ::pause();
    ::_exit(0);
  }
  ~Sleeper() {
    hit(SIGKILL);
    reap();
  }
  void hit(int signal) {
    if (id_ > 0) ::kill(id_, signal);
  }
  void reap() {
    if (id_ > 0) ::waitpid(id_, nullptr, 0);
    id_ = -1;
  }
  NodePeers::Peer as(int rank) const { return {.rank = rank, .process = mark_of(id_)}; }

 private:
  pid_t id_;
};

// What is seen within `seconds`.
std::optional<NodePeers::Lost> look(NodePeers& peers, double patience, double seconds) {
  for (const double until = seconds_now() + seconds; seconds_now() < until;) {
    if (const auto lost = peers.lost(patience)) return lost;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return std::nullopt;
}

TEST(NodePeers, OneThatHasEndedIsTold) {
  for (const bool reaped : {false, true}) {
    Sleeper one, other;
    NodePeers peers({one.as(0), other.as(3)});
    EXPECT_FALSE(look(peers, 1, 1)) << "both are there";
    const std::string who = fmt::format("rank 3 (process {}) has ended", other.as(3).process.id);
    other.hit(SIGKILL);
    if (reaped) other.reap();
    const auto lost = look(peers, 60, 20);
    ASSERT_TRUE(lost) << (reaped ? "gone" : "a zombie");
    EXPECT_EQ(lost->who, who);
    EXPECT_TRUE(lost->ended);
    NodePeers without = peers.only({0});
    EXPECT_FALSE(look(without, 60, 4)) << "of another group";
  }
}

TEST(NodePeers, OneThatStandsStillIsToldAfterAWhile) {
  Sleeper one;
  NodePeers peers({one.as(1)});
  one.hit(SIGSTOP);
  EXPECT_FALSE(look(peers, 60, 3));
  one.hit(SIGCONT);
  EXPECT_FALSE(look(peers, 1, 2));
  one.hit(SIGSTOP);
  const auto lost = look(peers, 1, 20);
  ASSERT_TRUE(lost);
  EXPECT_TRUE(lost->who.ends_with("has been stopped for 1 s")) << lost->who;
  EXPECT_FALSE(lost->ended);
}

// The number of a process says nothing in a container that has numbers of its own.
TEST(NodePeers, AProcessThatCannotBeSeenIsNotWatched) {
  Sleeper one;
  NodePeers::Peer other = one.as(2);
  ++other.process.started;
  NodePeers peers({other, {.rank = 0, .process = own_mark()}});
  one.hit(SIGKILL);
  one.reap();
  EXPECT_FALSE(look(peers, 1, 4));
}

}  // namespace
}  // namespace winnow::test
