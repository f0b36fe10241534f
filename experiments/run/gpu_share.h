// The threads of a worker that train on one GPU beside each other: who holds memory of it, and who waits for some. A trial
// that finds no room beside others is set up again when one of them has ended, in the order in which they asked; what it
// lacks when nobody else holds anything, it will always lack. A GpuShare may be used by all threads at once, a Seat by the
// thread that has it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>

namespace winnow {

class GpuShare {
 public:
  class Seat;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int holders_ = 0;            // seats that hold memory of the GPU, or may
  std::uint64_t changes_ = 0;  // of holders_
  std::list<Seat*> waiting_;   // first come, first served
  Seat* trying_ = nullptr;     // had its turn, and is not set up yet: nobody else takes memory meanwhile
  bool given_back_ = false;    // memory, since the last turn
};

// One thread's part. It gives back what the thread holds of the GPU by `give_back`; while it waits it calls `look` a few times a
// second, and waits no longer when that says false.
class GpuShare::Seat {
 public:
  struct Hooks {
    std::function<void()> give_back;
    std::function<bool()> look;
  };
  Seat(GpuShare& share, Hooks hooks) : share_(share), hooks_(std::move(hooks)) {}
  ~Seat();
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;

  // Before the thread takes up a trial: lets those go first that wait for memory.
  void before_trial();
  // It has its memory now, or wants none.
  void settled();
  // There was no room for its trial, and it has given back what it held. True: the trial may fit now. False: it does not
  // although nobody else held any memory, or the thread was told to stop.
  // `meanwhile` is called a few times a second.
  bool wait_for_room(const std::function<void()>& meanwhile = [] {});

 private:
  using Lock = std::unique_lock<std::mutex>;
  void hold();
  void let_go();
  bool wait_for_turn(Lock& lock, const std::function<void()>& meanwhile);

  GpuShare& share_;
  Hooks hooks_;
  bool holds_ = false;
  bool tried_ = false;       // for the present trial, in vain
  bool alone_ = false;       // nobody else held memory when it last began to take some ...
  std::uint64_t since_ = 0;  // ... and whether somebody has since, by changes_
};

}  // namespace winnow
