#include "experiments/run/devices.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "core/error.h"
#include "distributed/agree.h"
#include "experiments/results/isolated.h"
#include "kernels/gpu_libraries.h"

namespace winnow {
namespace {

RunDevices devices_here() {
  const GpuSurvey found = survey_gpus();
  RunDevices here{.gpus = static_cast<int>(found.gpus.size()),
                  .name = found.gpus.empty() ? "" : found.gpus.front().name,
                  .problem = found.problem};
  for (const Gpu& gpu : found.gpus) here.uuids.push_back(gpu.uuid);
  return here;
}

// A driver that crashes or does not come back is a reason why there is no GPU.
RunDevices devices_seen_by_child() {
  if (cuda::survey_gpus == nullptr) return devices_here();
  // The address space of the CUDA driver is larger than its memory by far.
  const IsolationLimits limits{.memory = std::size_t{1} << 46, .cpu_seconds = 60, .wall_seconds = 60};
  try {
    const std::vector<std::byte> bytes = run_isolated(
        "looking for GPUs",
        [] {
          const RunDevices here = devices_here();
          const std::string text = nlohmann::json{
              {"gpus", here.gpus},
              {"name", here.name},
              {"problem", here.problem},
              {"uuids", here.uuids}}.dump();
          const auto all = std::as_bytes(std::span(text));
          return std::vector<std::byte>(all.begin(), all.end());
        },
        limits);
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    const auto json = nlohmann::json::parse(begin, begin + bytes.size());
    return {.gpus = json.at("gpus"),
            .name = json.at("name"),
            .problem = json.at("problem"),
            .uuids = json.at("uuids").get<std::vector<std::string>>()};
  } catch (const std::exception& error) {
    return {.gpus = 0, .name = "", .problem = reason_of(error)};
  }
}

}  // namespace

std::optional<int> RunDevices::gpu_of(const std::string& device, int place) const {
  if (gpus == 0 || device == "cpu") return std::nullopt;
  if (usable() == 0) return place % gpus;
  int gpu = 0;
  for (int before = place % usable(); lost.contains(gpu) || before-- > 0;) ++gpu;
  return gpu;
}

int RunDevices::usable() const { return gpus - static_cast<int>(lost.size()); }

std::optional<int> RunDevices::number_in(const GpuSurvey& now, int gpu) const {
  const auto found = std::ranges::find(now.gpus, uuids.at(static_cast<std::size_t>(gpu)), &Gpu::uuid);
  if (found == now.gpus.end()) return std::nullopt;
  return static_cast<int>(found - now.gpus.begin());
}

std::optional<int> RunDevices::gpu_of(const TrialSpec& spec, int place) const {
  return gpu_of(spec.settings.has(kDeviceKey) ? spec.settings.text(kDeviceKey) : "cpu", place);
}

RunDevices devices_of_machine() { return devices_seen_by_child(); }

GpuSurvey survey_gpus() {
  if (cuda::survey_gpus == nullptr) return {.gpus = {}, .problem = "this winnow was built without the CUDA back end"};
  return with_libraries(cuda::survey_gpus(), [] { cuda::libraries(); });
}

GpuSurvey with_libraries(GpuSurvey found, const std::function<void()>& load) {
  if (found.gpus.empty()) return found;
  try {
    load();
  } catch (const std::exception& error) {
    found.gpus.clear();
    found.problem = fmt::format("NVIDIA's libraries cannot be loaded: {}", error.what());
  }
  return found;
}

RunDevices find_devices(Communicator& world, const std::set<std::string>& wanted, bool in_child) {
  RunDevices found;
  const bool needed = wanted.contains("cuda");
  if (!needed && !wanted.contains("auto")) return found;
  found = in_child ? devices_seen_by_child() : devices_here();
  if (found.gpus > 0) cuda::libraries();  // once for all processes that are forked
  agree(world, [&] {
    if (!needed || found.gpus > 0) return;
    fail(ErrorKind::Unavailable, "{} is cuda, but {}   ({}: auto trains on the CPU then; see winnow doctor)",
         kDeviceKey, found.problem, kDeviceKey);
  });
  std::array<std::uint64_t, 1> lacks = {found.gpus == 0 ? std::uint64_t{1} : 0};
  world.all_reduce_max(lacks);
  if (lacks[0] != 0 && found.gpus > 0) found = {.gpus = 0, .name = "", .problem = "a rank of this job has no GPU"};
  return found;
}

bool shares_its_gpu(Communicator& node, const RunDevices& devices) {
  const std::string& own = devices.uuids.at(static_cast<std::size_t>(*devices.gpu_of("auto", node.rank())));
  bool shared = false;
  for (int rank = 0; rank < node.size(); ++rank) {
    std::string uuid = own;
    share_text(node, uuid, rank);
    shared = shared || (rank != node.rank() && uuid == own);
  }
  return shared;
}

}  // namespace winnow
