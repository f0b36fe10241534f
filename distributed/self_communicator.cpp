#include <cstdlib>

#include "distributed/communicator.h"

namespace winnow {
namespace {

class DoneWork final : public Work {
 public:
  bool poll() override { return true; }
  void wait() override {}
};

class SelfCommunicator final : public Communicator {
 public:
  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 1; }
  std::unique_ptr<Communicator> split(int, int) override { return make_self(); }
  std::unique_ptr<Work> all_reduce_sum(std::span<float>) override { return std::make_unique<DoneWork>(); }
  void all_reduce_sum(std::span<double>) override {}
  void all_reduce_max(std::span<std::uint64_t>) override {}
  void broadcast(std::span<std::byte>, int) override {}
  void barrier() override {}
  [[noreturn]] void abort(int code) noexcept override { std::_Exit(code); }
};

}  // namespace

std::unique_ptr<Communicator> make_self() { return std::make_unique<SelfCommunicator>(); }

}  // namespace winnow
