#include "experiments/run/provenance.h"

#include <fmt/format.h>
#include <unistd.h>
#include <winnow_version.h>

#include <cstdlib>
#include <fstream>

#include "distributed/host_name.h"
#include "kernels/processor.h"

namespace winnow {
namespace {

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

bool allowed(std::string_view name) {
  for (const char* prefix : {"OMP_", "SLURM_JOB_ID", "SLURM_ARRAY_", "SLURM_PROCID", "OMPI_COMM_WORLD_SIZE", "DNNL_"}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

}  // namespace

std::map<std::string, std::string> process_provenance() {
  std::map<std::string, std::string> facts = {
      {"winnow.version", WINNOW_VERSION},   {"git.revision", WINNOW_GIT_REVISION},
      {"compiler", WINNOW_COMPILER},        {"build.type", WINNOW_BUILD_TYPE},
      {"onednn.version", onednn_version()}, {"host", host_name()},
      {"processor", processor()},           {"processor.cores", std::to_string(sysconf(_SC_NPROCESSORS_ONLN))},
  };
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos && allowed(text.substr(0, equals))) {
      facts[fmt::format("env.{}", text.substr(0, equals))] = std::string(text.substr(equals + 1));
    }
  }
  return facts;
}

std::string build_summary() {
  return fmt::format("winnow {} (git {}, {}, {}), CPU back end: oneDNN {}", WINNOW_VERSION, WINNOW_GIT_REVISION,
                     WINNOW_COMPILER, WINNOW_BUILD_TYPE, onednn_version());
}

}  // namespace winnow
