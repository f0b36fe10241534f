#include <cstdlib>
#include <vector>

#include "distributed/communicator.h"

namespace winnow {
namespace {

class DoneWork final : public Work {
 public:
  bool poll() override { return true; }
  void wait() override {}
};

class LocalTickets final : public Tickets {
 public:
  explicit LocalTickets(std::size_t counters) : next_(counters, 0) {}
  std::int64_t next(std::size_t counter) override { return next_.at(counter)++; }

 private:
  std::vector<std::int64_t> next_;
};

class LocalNotice final : public Notice {
 public:
  void give() override { given_ = true; }
  bool heard() override { return given_; }

 private:
  bool given_ = false;
};

class NoMail final : public Mail {
 public:
  void send(std::string) override {}
  std::optional<std::string> receive() override { return std::nullopt; }
  std::int64_t count() const override { return 0; }
};

class OwnAttendance final : public Attendance {
 public:
  void say(std::int64_t place) override { said_ = place; }
  std::int64_t heard(int) override { return said_; }

 private:
  std::int64_t said_ = -1;
};

class SelfCommunicator final : public Communicator {
 public:
  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 1; }
  std::unique_ptr<Communicator> split(int, int) override { return make_self(); }
  std::unique_ptr<Tickets> tickets(std::size_t counters) override { return std::make_unique<LocalTickets>(counters); }
  std::unique_ptr<Notice> notice() override { return std::make_unique<LocalNotice>(); }
  std::unique_ptr<Mail> mail() override { return std::make_unique<NoMail>(); }
  std::unique_ptr<Attendance> attendance() override { return std::make_unique<OwnAttendance>(); }
  std::unique_ptr<Communicator> on_node() override { return make_self(); }
  std::unique_ptr<Work> all_reduce_sum(std::span<float>) override { return std::make_unique<DoneWork>(); }
  void all_reduce_sum(std::span<double>) override {}
  void all_reduce_max(std::span<std::uint64_t>) override {}
  std::unique_ptr<Work> start_all_reduce_max(std::span<std::uint64_t>) override { return std::make_unique<DoneWork>(); }
  void broadcast(std::span<std::byte>, int) override {}
  [[noreturn]] void abort(int code) noexcept override { std::_Exit(code); }
};

}  // namespace

std::unique_ptr<Communicator> make_self() { return std::make_unique<SelfCommunicator>(); }

}  // namespace winnow
