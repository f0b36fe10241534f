#include "experiments/run/trial_lanes.h"

#include <algorithm>

#include "experiments/run/room_on_gpu.h"
#include "experiments/run/run_trial.h"
#include "experiments/run/stop_request.h"

namespace winnow {

TrialLanes::AtOnce TrialLanes::at_once(int wanted, std::size_t trials, int processes) {
  constexpr int kMost = 16;  // where nobody says
  const auto of = static_cast<std::size_t>(processes);
  const int share = static_cast<int>((trials + of - 1) / of);
  return {.most = std::min(wanted > 0 ? wanted : kMost, share), .from_the_start = wanted > 0};
}

void TrialLanes::run_one() { train(0, nullptr, nullptr); }

void TrialLanes::run(const AtOnce& at_once, std::span<const double> step_costs, const std::function<void()>& look) {
  release_gpu_memory();  // what this thread may have kept of a trial: lanes need it
  GpuShare share;
  LaneMeter meter(step_costs);
  const TrialRunner::Job& runner = job_.runner;
  RoomOnGpu room(runner.trials, runner.devices.gpu_of("auto", runner.place), job_.entries);
  threads_.emplace(WorkerLanes::Job{.train = [&](int lane) { train(lane, &share, &meter); },
                                    .most = at_once.most,
                                    .all_at_once = at_once.from_the_start,
                                    .meter = meter,
                                    .room = [&] { return room.now(); },
                                    .look = look});
  threads_->run();
}

void TrialLanes::train(int lane, GpuShare* share, LaneMeter* meter) {
  SharedBoard::Entry& entry = job_.entries[static_cast<std::size_t>(lane)];
  const SignalStack stack;  // a crash here is noted, too
  try {
    const auto self = make_self();
    const Links links = job_.links();
    StopRequest stop(*links.notice);
    std::optional<GpuShare::Seat> seat;
    if (share != nullptr) {
      seat.emplace(*share, GpuShare::Seat::Hooks{.give_back = release_gpu_memory, .look = [&stop] { return !stop(); }});
    }
    TrialRunner(job_.runner, {.news = *links.news,
                              .stop = stop,
                              .tally = entry.tally,
                              .in_hand = &entry.in_hand,
                              .seat = seat ? &*seat : nullptr,
                              .meter = meter})
        .run(*self, *links.tickets, job_.list, job_.how);
    entry.through = true;
  } catch (const GpuDoesNotStart& error) {  // lanes for which it has started go on
    entry.note_no_gpu(error.what());
  } catch (const std::exception& error) {
    job_.failed(error);
  }
}

}  // namespace winnow
