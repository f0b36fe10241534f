// For tests: a rank whose only neighbour always has just what it has itself. A sum is twice the rank's own, so what a device
// computes reaches the reducer and comes back, without a second process.
#pragma once

#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "distributed/communicator.h"

namespace winnow::test {

class Twin final : public Communicator {
 public:
  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 2; }
  std::unique_ptr<Communicator> split(int, int) override { throw std::logic_error("a twin is not split"); }
  std::unique_ptr<Tickets> tickets(std::size_t counters) override { return alone_->tickets(counters); }
  std::unique_ptr<Notice> notice() override { return alone_->notice(); }
  std::unique_ptr<Mail> mail() override { return alone_->mail(); }
  std::unique_ptr<Attendance> attendance() override { return alone_->attendance(); }
  std::unique_ptr<Communicator> on_node() override { return alone_->on_node(); }
  std::unique_ptr<Work> all_reduce_sum(std::span<float> data) override {
    for (float& value : data) value *= 2;
    return alone_->all_reduce_sum(data);
  }
  void all_reduce_sum(std::span<double> data) override {
    for (double& value : data) value *= 2;
  }
  void all_reduce_max(std::span<std::uint64_t>) override {}
  std::unique_ptr<Work> start_all_reduce_max(std::span<std::uint64_t> data) override {
    return alone_->start_all_reduce_max(data);
  }
  void broadcast(std::span<std::byte>, int) override {}
  [[noreturn]] void abort(int code) noexcept override { std::_Exit(code); }

 private:
  std::unique_ptr<Communicator> alone_ = make_self();
};

}  // namespace winnow::test
