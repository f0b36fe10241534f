// Workers without training: what they say, how they die, and that another takes the place of a dead one.
#include "experiments/run/worker_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iostream>
#include <stdexcept>

#include "experiments/run/shared_board.h"
#include "experiments/run/stop_request.h"

namespace winnow {
namespace {

using LastWords = WorkerPool::LastWords;

// Runs `work` in `workers` processes; what they said and how they died. A dead one is replaced `replacements` times.
struct Ran {
  std::vector<std::string> lines, deaths;
  Ran(int workers, std::function<void(int)> work, int replacements = 0) {
    WorkerPool({.work = std::move(work),
                .say =
                    [this](int, const std::string& line) {
                      lines.push_back(line);
                      return line.starts_with("news")  ? LastWords::AsBefore
                             : line.starts_with("end") ? LastWords::None
                                                       : LastWords::These;
                    },
                .died =
                    [&](const WorkerDeath& death) {
                      deaths.push_back(death.reason);
                      return replacements-- > 0;
                    },
                .tick = [] {}})
        .run(workers);
    std::ranges::sort(lines);
  }
};

void die(int signal) {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

TEST(WorkerPool, LinesArriveWholeAndTheLastOneWithoutItsEnd) {
  const Ran ran(3, [](int worker) {
    std::cerr << "worker " << worker << " begins\nand " << std::flush;
    std::cerr << "ends " << worker << std::flush;
  });
  EXPECT_TRUE(ran.deaths.empty());
  EXPECT_EQ(ran.lines, (std::vector<std::string>{"and ends 0", "and ends 1", "and ends 2", "worker 0 begins",
                                                 "worker 1 begins", "worker 2 begins"}));
}

TEST(WorkerPool, ADeathHasItsSignalAndLastWords) {
  const Ran ran(1, [](int) {
    std::cerr << "about to fall" << std::endl;
    die(SIGSEGV);
  });
  EXPECT_EQ(ran.deaths, std::vector<std::string>{"ended by signal 11 (Segmentation fault): about to fall"});
}

TEST(WorkerPool, LastWordsAreNoNewsAndNothingFromBeforeAnEnd) {
  const Ran after_news(1, [](int) {
    std::cerr << "about to fall\nnews of a step" << std::endl;
    die(SIGSEGV);
  });
  EXPECT_EQ(after_news.deaths, std::vector<std::string>{"ended by signal 11 (Segmentation fault): about to fall"});
  const Ran after_an_end(1, [](int) {
    std::cerr << "a remark on another trial\nend of that" << std::endl;
    die(SIGSEGV);
  });
  EXPECT_EQ(after_an_end.deaths, std::vector<std::string>{"ended by signal 11 (Segmentation fault)"});
}

TEST(WorkerPool, AnExceptionAndAnExitOfALibraryAreDeaths) {
  const Ran thrown(1, [](int) { throw std::runtime_error("no luck"); });
  EXPECT_EQ(thrown.deaths, std::vector<std::string>{"ended with exit code 70: no luck"});
  const Ran left(1, [](int) { std::_Exit(1); });
  EXPECT_EQ(left.deaths, std::vector<std::string>{"ended with exit code 1"});
}

TEST(WorkerPool, AnotherTakesThePlaceOfADeadOne) {
  SharedBoard board(2, 1, 0, 1);
  const auto tickets = board.tickets();
  const Ran ran(
      2,
      [&](int) {
        const std::int64_t ticket = tickets->next(0);
        if (ticket < 5) die(SIGKILL);
        std::cerr << "ticket " << ticket << std::endl;
      },
      100);
  EXPECT_EQ(ran.deaths.size(), 5u);
  EXPECT_EQ(ran.lines, (std::vector<std::string>{"ticket 5", "ticket 6"}));
}

TEST(SharedBoard, TheWordToStopAndTheFirstErrorReachAll) {
  SharedBoard board(2, 2, 3, 1);
  const Ran ran(2, [&](int worker) {
    if (worker == 0) {
      board.postponed()[1] = Postponed::Waiting;
      board.entries(1).front().tally[Tally::Trained] = 4;
      board.report(ErrorKind::Io, "the disk is full");
      board.report(ErrorKind::Io, "the disk is still full");
      board.notice()->give();
    }
    const auto notice = board.notice();
    for (StopRequest stop(*notice); !stop();) ::usleep(1000);
  });
  EXPECT_TRUE(ran.deaths.empty());
  EXPECT_EQ(board.postponed()[1], Postponed::Waiting);
  EXPECT_EQ(board.entries(1).front().tally[Tally::Trained], 4);
  ASSERT_TRUE(board.reported());
  EXPECT_EQ(board.reported()->kind(), ErrorKind::Io);
  EXPECT_STREQ(board.reported()->what(), "the disk is full");
}

}  // namespace
}  // namespace winnow
