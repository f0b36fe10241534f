#include "experiments/run/cores.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "distributed/host_name.h"
#include "experiments/run/cpu_quota.h"

namespace winnow {
namespace {

// Hardware threads this process may run on. A machine with more than CPU_SETSIZE of them refuses
// the call; it is then taken as a whole.
std::vector<int> allowed_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  CPU_ZERO(&set);
  const bool known = sched_getaffinity(0, sizeof(set), &set) == 0;
  const int count = known ? CPU_SETSIZE : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  for (int cpu = 0; cpu < count; ++cpu) {
    if (!known || CPU_ISSET(static_cast<unsigned>(cpu), &set)) cpus.push_back(cpu);
  }
  return cpus;
}

// Threads of one core share its multipliers, so they count once.
int physical_cores(const std::vector<int>& cpus) {
  std::set<std::string> cores;
  for (const int cpu : cpus) {
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings)) siblings = "cpu " + std::to_string(cpu);
    cores.insert(siblings);
  }
  return static_cast<int>(cores.size());
}

// How many ranks are at the same place as this one. Collective.
int sharing(Communicator& world, const std::string& place) {
  std::vector<std::uint64_t> places(static_cast<std::size_t>(world.size()), 0);
  const std::uint64_t mine = std::hash<std::string>()(place);
  places[static_cast<std::size_t>(world.rank())] = mine;
  world.all_reduce_max(places);
  return static_cast<int>(std::ranges::count(places, mine));
}

}  // namespace

int cores_of_rank(Communicator& world) {
  const std::vector<int> cpus = allowed_cpus();
  std::string bound = host_name();
  for (const int cpu : cpus) bound += " " + std::to_string(cpu);
  const CpuQuota quota = cpu_quota("/");
  double cores = static_cast<double>(physical_cores(cpus)) / sharing(world, bound);
  // Ranks that are bound to cores of their own may still share one quota.
  cores = std::min(cores, quota.cores / sharing(world, host_name() + " " + quota.group));
  return std::max(1, static_cast<int>(cores));
}

CoreShares share_cores(int cores, std::size_t trials, int workers, int threads, bool may_fork) {
  CoreShares shares;
  const int most = static_cast<int>(std::clamp<std::size_t>(trials, 1, 1024));
  if (may_fork)
    shares.workers = workers > 0 ? workers : threads > 0 ? std::max(1, cores / threads) : std::min(cores, most);
  shares.threads = threads > 0 ? threads : std::max(1, cores / shares.workers);
  shares.read_ahead = cores >= shares.workers * (shares.threads + 1);
  return shares;
}

}  // namespace winnow
