// One rank of a job that fails at one point: failing_rank POINT RANK SWEEP OUT RANKS_PER_TRIAL under mpirun. The script
// tests/python/one_process_fails.py starts it and looks at how the whole job ends.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "distributed/agree.h"
#include "experiments/run/run_sweep.h"

namespace {

// Once armed, the allocation that counts down to zero fails, and no other.
std::atomic<bool> armed{false};
std::atomic<long> allocations_left{-1};

void* allocate(std::size_t size) {
  if (armed.load() && allocations_left.fetch_sub(1) == 0) throw std::bad_alloc();
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

namespace winnow {
namespace {

// Where this process fails; empty: nowhere.
std::string point;

void fail_at(const std::string& here) {
  if (here == point) throw std::runtime_error("fails at " + here);
  if (point == here + ", late") std::this_thread::sleep_for(std::chrono::hours(1));
}

class FailingTickets final : public Tickets {
 public:
  explicit FailingTickets(std::unique_ptr<Tickets> inner) : inner_(std::move(inner)) {}
  std::int64_t next(std::size_t counter) override {
    fail_at("draw");
    armed = true;
    return inner_->next(counter);
  }

 private:
  std::unique_ptr<Tickets> inner_;
};

class FailingCommunicator final : public Communicator {
 public:
  // `group`: of a trial.
  FailingCommunicator(std::unique_ptr<Communicator> inner, bool group) : inner_(std::move(inner)), group_(group) {}
  int rank() const noexcept override { return inner_->rank(); }
  int size() const noexcept override { return inner_->size(); }
  std::unique_ptr<Communicator> split(int color, int key) override {
    fail_at("split");
    return std::make_unique<FailingCommunicator>(inner_->split(color, key), true);
  }
  std::unique_ptr<Tickets> tickets(std::size_t counters) override {
    return std::make_unique<FailingTickets>(inner_->tickets(counters));
  }
  std::unique_ptr<Notice> notice() override { return inner_->notice(); }
  std::unique_ptr<Mail> mail() override { return inner_->mail(); }
  std::unique_ptr<Attendance> attendance() override { return inner_->attendance(); }
  std::unique_ptr<Communicator> on_node() override { return inner_->on_node(); }
  std::unique_ptr<Work> all_reduce_sum(std::span<float> data) override {
    // In the middle of a step: some of its messages are under way.
    if (++sent_ == 4) fail_at("step");
    return inner_->all_reduce_sum(data);
  }
  void all_reduce_sum(std::span<double> data) override {
    if (group_) fail_at(point == "record" ? "record" : "evaluate");
    inner_->all_reduce_sum(data);
  }
  void all_reduce_max(std::span<std::uint64_t> data) override {
    if (!group_) fail_at("preparation");
    inner_->all_reduce_max(data);
  }
  std::unique_ptr<Work> start_all_reduce_max(std::span<std::uint64_t> data) override {
    if (!group_) fail_at("round");
    return inner_->start_all_reduce_max(data);
  }
  void broadcast(std::span<std::byte> data, int root) override { inner_->broadcast(data, root); }
  [[noreturn]] void abort(int code) noexcept override {
    inner_->abort(code);
    std::_Exit(code);
  }

 private:
  std::unique_ptr<Communicator> inner_;
  bool group_;
  int sent_ = 0;
};

class FailingFiles final : public PosixFiles {
 public:
  void make_folders(const Path& folder) override {
    fail_at("prepare");
    PosixFiles::make_folders(folder);
  }

 protected:
  std::optional<int> open(const Path& path, Open how) override {
    const std::string text = path.string();
    if (text.find("/trials/") != std::string::npos) fail_at("publish");
    if (text.find("/failed") != std::string::npos) fail_at("record");
    return PosixFiles::open(path, how);
  }
};

int run(int argc, char** argv) {
  if (argc != 6) return static_cast<int>(ErrorKind::Usage);
  FailingCommunicator world(make_world(), false);
  if (world.rank() == std::atoi(argv[2])) point = argv[1];
  if (point.starts_with("allocate")) allocations_left = std::atol(point.c_str() + 8);
  FailingFiles files;
  RunOptions options;
  options.out = argv[4];
  options.threads = 1;
  const int code = run_sweep(world, files, [&] {
    agree(world, [&] { fail_at("plan"); });
    return std::optional(SweepJob{argv[3], {.set = {std::string("ranks=") + argv[5]}}, options});
  });
  fail_at("end");  // all is done, but for the end of MPI
  return code;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  try {
    return winnow::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "winnow: error: " << error.what() << std::endl;
    return static_cast<int>(winnow::kind_of(error));
  }
}
