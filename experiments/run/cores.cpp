#include "experiments/run/cores.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

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

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace

int cores_of_rank(Communicator& world) {
  const std::vector<int> cpus = allowed_cpus();
  std::string place = host_name();
  for (const int cpu : cpus) place += " " + std::to_string(cpu);
  std::vector<std::uint64_t> places(static_cast<std::size_t>(world.size()), 0);
  const std::uint64_t mine = std::hash<std::string>()(place);
  places[static_cast<std::size_t>(world.rank())] = mine;
  world.all_reduce_max(places);
  const auto sharing = static_cast<int>(std::ranges::count(places, mine));
  return std::max(1, physical_cores(cpus) / sharing);
}

}  // namespace winnow
