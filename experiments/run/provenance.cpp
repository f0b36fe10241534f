#include "experiments/run/provenance.h"

#include <fmt/format.h>
#include <hdf5.h>
// Only the C interface; the C++ one is deprecated and does not compile without warnings.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#include <unistd.h>
#include <winnow_version.h>

#include <cstdlib>
#include <fstream>

#include "distributed/host_name.h"
#include "experiments/run/devices.h"
#include "experiments/run/driver_release.h"
#include "kernels/gpu_libraries.h"
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
  for (const char* prefix : {"OMP_", "CUDA_VISIBLE_DEVICES", "CUDA_MPS_", "NCCL_", "SLURM_JOB_ID", "SLURM_ARRAY_",
                             "SLURM_PROCID", "OMPI_COMM_WORLD_SIZE", "DNNL_", "WINNOW_CUDNN_PLANS"}) {
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

std::map<std::string, std::string> device_provenance(std::optional<int> gpu) {
  if (!gpu) return {{"device", "cpu"}};
  const GpuSurvey survey = survey_gpus();
  std::map<std::string, std::string> facts = {{"device", "cuda"},
                                              {"cuda.driver", cuda_version_text(survey.driver)},
                                              {"cuda.runtime", cuda_version_text(survey.runtime)}};
  if (static_cast<std::size_t>(*gpu) < survey.gpus.size()) {
    const Gpu& one = survey.gpus[static_cast<std::size_t>(*gpu)];
    facts["gpu.name"] = one.name;
    facts["gpu.uuid"] = one.uuid;
    facts["gpu.memory"] = std::to_string(one.memory_bytes);
    facts["gpu.compute_capability"] = fmt::format("{}.{}", one.major, one.minor);
  }
  if (const std::string release = driver_release(); !release.empty()) facts["gpu.driver"] = release;
  for (const auto& [library, version] : cuda::libraries().versions()) facts[library + ".version"] = version;
  return facts;
}

std::string mpi_version() {
  char library[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(library, &length);  // allowed before MPI_Init
  const std::string_view text(library, static_cast<std::size_t>(length));
  return std::string(text.substr(0, text.find_first_of(",\n")));
}

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

std::string build_summary() {
  // NVIDIA's libraries are not loaded for this; winnow doctor names them.
  return fmt::format("winnow {} (git {}, {}, {}), CPU back end: oneDNN {}{}", WINNOW_VERSION, WINNOW_GIT_REVISION,
                     WINNOW_COMPILER, WINNOW_BUILD_TYPE, onednn_version(),
                     cuda::survey_gpus != nullptr ? ", CUDA back end" : "");
}

}  // namespace winnow
