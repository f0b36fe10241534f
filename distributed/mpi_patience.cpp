#include "distributed/mpi_patience.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <numeric>
#include <string>
#include <vector>

#include "distributed/quiet_thread.h"
#include "kernels/waited.h"

namespace winnow {

MpiPatience::MpiPatience(MPI_Comm comm, double limit) : attendance_(comm), limit_(limit) {
  MPI_Comm_rank(comm, &rank_);
  MPI_Comm_size(comm, &size_);
  std::vector<int> ranks(static_cast<std::size_t>(size_)), of_job(ranks.size());
  std::iota(ranks.begin(), ranks.end(), 0);
  MPI_Group group = MPI_GROUP_NULL, job = MPI_GROUP_NULL;
  check_mpi(MPI_Comm_group(comm, &group), "MPI_Comm_group");
  check_mpi(MPI_Comm_group(MPI_COMM_WORLD, &job), "MPI_Comm_group");
  check_mpi(MPI_Group_translate_ranks(group, size_, ranks.data(), job, of_job.data()), "MPI_Group_translate_ranks");
  MPI_Group_free(&group);
  MPI_Group_free(&job);
  peers_ = MpiSession::get().peers().only(of_job);
}

void MpiPatience::finish(MPI_Request& request, const Operation& operation) {
  constexpr int kTriesBetweenLooks = 64;  // a try costs more than the clock, and much more where cores are shared
  Waited clock;
  for (int tries = 1;; ++tries) {
    int done = 0;
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), operation.call);
    if (done != 0) return;
    if (tries % kTriesBetweenLooks != 0) continue;
    look_around(operation, clock.look());
  }
}

bool MpiPatience::poll(MPI_Request& request, const Operation& operation) {
  int done = 0;
  check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), operation.call);
  if (done == 0) look_around(operation, 0);
  return done != 0;
}

void MpiPatience::perform(std::function<void()> work, const Operation& operation) {
  int threads = 0;
  MPI_Query_thread(&threads);
  if (threads < MPI_THREAD_MULTIPLE) return work();
  const auto task = std::make_shared<std::packaged_task<void()>>(std::move(work));
  auto done = task->get_future();
  start_quiet_thread([task] { (*task)(); }).detach();
  constexpr std::chrono::milliseconds kBetweenLooks{20};
  for (Waited clock; done.wait_for(kBetweenLooks) != std::future_status::ready;) look_around(operation, clock.look());
  done.get();
}

void MpiPatience::look_around(const Operation& operation, double waited) {
  const auto give_up = [&](const std::string& reason, RanksLost::Why why) {
    const std::string bytes = operation.bytes > 0 ? fmt::format(" ({} bytes)", operation.bytes) : "";
    throw RanksLost(fmt::format("{} of {} ranks{}: {}", operation.call, size_, bytes, reason), why);
  };
  if (const auto lost = lost_peer()) {
    give_up(lost->who, lost->ended ? RanksLost::Why::Ended : RanksLost::Why::Other);
  }
  // A message from everybody to everybody is much in a large job.
  constexpr int kFew = 64;
  const double say_after = size_ <= kFew ? std::min(5.0, limit_ / 4) : limit_ / 2;
  if (said_ != operation.place && waited > say_after) attendance_.say(said_ = operation.place);
  if (waited <= limit_) return;
  give_up(fmt::format("not done after {} s; {}", limit_, who_is_absent(attendance_, rank_, size_, operation.place)),
          RanksLost::Why::Late);
}

}  // namespace winnow
