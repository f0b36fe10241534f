// What the lanes of a rank have in place of MPI: all of it goes through the rank's first thread.
#include "experiments/run/lane_desk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "distributed/ranks_lost.h"

namespace winnow {
namespace {

using Thread = std::thread::id;

// Lost from a ticket on, as tickets of a rank that cannot reach the others.
class FewTickets final : public Tickets {
 public:
  explicit FewTickets(std::int64_t most) : most_(most) {}
  std::int64_t next(std::size_t) override {
    strangers += std::this_thread::get_id() == home_ ? 0 : 1;
    if (next_ == most_) throw RanksLost("rank 0 gave no trial");
    return next_++;
  }
  int strangers = 0;

 private:
  std::int64_t most_, next_ = 0;
  Thread home_ = std::this_thread::get_id();
};

class Told final : public NewsDesk {
 public:
  void tell(const TrialNews& news) override {
    strangers += std::this_thread::get_id() == home_ ? 0 : 1;
    all.push_back(news.at);
  }
  void listen() override { ++listened; }
  std::vector<std::size_t> all;
  int strangers = 0, listened = 0;

 private:
  Thread home_ = std::this_thread::get_id();
};

class Lanes : public ::testing::Test {
 protected:
  // Each on a thread, while this one serves.
  void run(LaneDesk& desk, int lanes, const std::function<void(const TrialLanes::Links&)>& work) {
    std::atomic<int> left = lanes;
    std::vector<std::jthread> threads;
    for (int lane = 0; lane < lanes; ++lane) {
      threads.emplace_back([&] {
        try {
          work(desk.links());
        } catch (const std::exception&) {
          desk.give_up();
        }
        --left;
      });
    }
    while (left > 0) desk.serve();
    desk.serve();
  }
  LaneDesk::Job job(Tickets& tickets) {
    return {.tickets = tickets, .stop = stop_, .news = told_, .wake = [this] { ++woken_; }};
  }
  const std::unique_ptr<Notice> notice_ = make_self()->notice();
  StopRequest stop_{*notice_};
  Told told_;
  std::atomic<int> woken_ = 0;
};

TEST_F(Lanes, DrawAndTellThroughTheFirstThread) {
  FewTickets tickets(1000);
  LaneDesk desk(job(tickets));
  std::mutex mutex;
  std::vector<std::int64_t> drawn;
  run(desk, 4, [&](const TrialLanes::Links& links) {
    for (int i = 0; i < 50; ++i) {
      const std::int64_t ticket = links.tickets->next(0);
      links.news->tell({.at = static_cast<std::size_t>(ticket)});
      const std::lock_guard lock(mutex);
      drawn.push_back(ticket);
    }
  });
  EXPECT_NO_THROW(desk.throw_what_went_wrong());
  std::ranges::sort(drawn);
  ASSERT_EQ(drawn.size(), 200u);
  EXPECT_EQ(std::ranges::adjacent_find(drawn), drawn.end()) << "a ticket was given twice";
  EXPECT_EQ(drawn.back(), 199);
  std::ranges::sort(told_.all);
  EXPECT_TRUE(std::ranges::equal(drawn, told_.all)) << "news were lost";
  EXPECT_EQ(tickets.strangers + told_.strangers, 0) << "another thread called MPI";
  EXPECT_EQ(woken_, 200);
  EXPECT_GT(told_.listened, 0);
}

TEST_F(Lanes, AllStopWhereTheFirstThreadCannotDraw) {
  FewTickets tickets(3);
  LaneDesk desk(job(tickets));
  std::atomic<int> refused = 0, stopped = 0;
  run(desk, 3, [&](const TrialLanes::Links& links) {
    try {
      while (true) links.tickets->next(0);
    } catch (const Error& error) {
      refused += error.kind() == ErrorKind::Stopped ? 1 : 0;
      stopped += links.notice->heard() ? 1 : 0;
      throw;
    }
  });
  EXPECT_EQ(refused, 3);
  EXPECT_EQ(stopped, 3);
  EXPECT_THROW(desk.throw_what_went_wrong(), RanksLost) << "not what the lanes made of it";
}

TEST_F(Lanes, TheFirstErrorCountsAndWhatIsToldAfterItIsPassedOn) {
  FewTickets tickets(10);
  LaneDesk desk(job(tickets));
  run(desk, 2, [&](const TrialLanes::Links& links) {
    if (links.tickets->next(0) == 0) fail(ErrorKind::Io, "first");
    while (!links.notice->heard()) std::this_thread::yield();
    links.news->tell({.at = 7});
    fail(ErrorKind::Internal, "second");
  });
  try {
    desk.throw_what_went_wrong();
    ADD_FAILURE() << "nothing is thrown";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "first");
  }
  EXPECT_EQ(told_.all, std::vector<std::size_t>{7});
  EXPECT_FALSE(notice_->heard()) << "an error of a rank is no word to the others";
}

TEST_F(Lanes, AWordToTheRankStopsThem) {
  FewTickets tickets(10);
  LaneDesk desk(job(tickets));
  notice_->give();
  std::atomic<int> heard = 0;
  run(desk, 3, [&](const TrialLanes::Links& links) {
    while (!links.notice->heard()) std::this_thread::yield();
    ++heard;
  });
  EXPECT_EQ(heard, 3);
  EXPECT_NO_THROW(desk.throw_what_went_wrong());
}

}  // namespace
}  // namespace winnow
