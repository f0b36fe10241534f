// What GPUs this process sees. Plain values. Looking starts the CUDA driver in
// this process, which no child that is forked afterwards can use.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace winnow {

struct Gpu {
  std::string name, uuid;
  std::size_t memory_bytes = 0;
  int major = 0, minor = 0;  // compute capability
  std::vector<int> peers;    // GPUs whose memory it can address
};

struct GpuSurvey {
  std::vector<Gpu> gpus;        // by their number, those that this program can use
  std::string problem = {};     // why there are none, one line
  int driver = 0, runtime = 0;  // versions as CUDA numbers them, 13000; driver 0: there is none
};

namespace cuda {
// Never throws, and needs no library but the driver's. Weak: null in programs that are linked without the CUDA back end.
[[gnu::weak]] GpuSurvey survey_gpus();
}  // namespace cuda

// "13.0" of 13000; "none" of 0.
inline std::string cuda_version_text(int version) {
  if (version == 0) return "none";
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace winnow
