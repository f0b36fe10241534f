// A trial that stops again and again and goes on in fresh processes, beside one that is never stopped. Header only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "core/state_bytes.h"
#include "tests/training/process.h"

namespace winnow::test {

// `stops`: batches between one stop and the next; the last counts on. `open`: the device of each process; none: the CPU.
inline void expect_equal_after_stops(const Recipe& recipe, const std::vector<std::int64_t>& stops,
                                     const Pairs& train = {},
                                     const std::function<std::shared_ptr<DeviceStream>()>& open = {}) {
  struct Begun {
    std::unique_ptr<ProgramCache> programs;
    Process process;
  };
  const auto begin = [&] {
    auto programs = open ? std::make_unique<ProgramCache>(open()) : nullptr;
    ProgramCache* const used = programs.get();
    return std::unique_ptr<Begun>(new Begun{std::move(programs), Process(recipe, train, used)});
  };
  MemoryState expected;
  {
    const auto whole = begin();
    ASSERT_TRUE(whole->process.run());
    expected = whole->process.ended();
  }

  std::size_t stop = 0;
  auto now = begin();
  for (;; ++stop) {
    ASSERT_LT(stop, 1000u) << "does not come to an end";
    now->process.batches_left = stops[std::min(stop, stops.size() - 1)];
    if (now->process.run()) break;
    BytesWriter file;
    now->process.trainer->save(file);
    now.reset();
    now = begin();
    MemoryState state;
    add_blocks(state, file.take(), "checkpoint");
    now->process.trainer->load(state);
    EXPECT_EQ(state.unread(), std::vector<std::string>{}) << "saved and not read";
  }
  EXPECT_GE(stop, stops.size() == 1 ? 7u : 2u) << "stopped too seldom to prove anything";
  MemoryState ended = now->process.ended();
  EXPECT_EQ(difference(expected, ended), "");
}

}  // namespace winnow::test
